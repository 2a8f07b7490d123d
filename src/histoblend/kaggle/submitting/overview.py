"""`histoblend submissions`: the ledger beside what Kaggle lists, completed where scores have come since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from histoblend.config_files import configs_folder
from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import ArtifactRefusal, MachineRefusal, ServiceRefusal, counted
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.connection import connect
from histoblend.kaggle.submitting.desk import Desk
from histoblend.kaggle.submitting.matching import matched
from histoblend.kaggle.submitting.printed import printed_submissions
from histoblend.kaggle.submitting.request import SubmissionsRequest
from histoblend.kaggle.submitting.rows import Row, agreements, rows_of
from histoblend.ledger import read_submissions
from histoblend.preparation import default_output
from histoblend.pulled import home_of
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace


def show_submissions(
    request: SubmissionsRequest, display: Display, environment: Mapping[str, str]
) -> list[Row]:
    """Show every submission, the newest first, and write into the ledger what Kaggle says of its lines.

    Where Kaggle cannot be asked, the ledger is shown as it stands, and that is said.

    Returns:
        What was shown.

    Raises:
        ArtifactRefusal: the ledger is broken, or there is neither a ledger nor a way to ask Kaggle.
    """
    root = request.output or default_output(configs_folder(environment).parent, environment)
    ledger = home_of(Workspace(root.absolute())).ledger
    if request.output is not None and not root.is_dir():
        raise ArtifactRefusal(
            f"There is no folder {root}.", "the output folder of a run", "name it with --output."
        )
    settings = load_kaggle_settings(environment)
    read_submissions(ledger)  # a broken one is refused before anybody is asked
    listed: Sequence[ListedSubmission] = ()
    try:
        desk = Desk(connect(environment, display), settings, ledger, display)
        listed = desk.listed()
    except ServiceRefusal as refusal:
        if not ledger.exists():
            raise
        display.warn(f"Kaggle could not be asked, so this is the ledger as it stands. {refusal}")
    else:
        _complete(ledger, desk, listed, display)
    rows = rows_of(matched(read_submissions(ledger), listed))
    _show(rows, settings.competition, display)
    return rows


def _complete(ledger: Path, desk: Desk, listed: Sequence[ListedSubmission], display: Display) -> None:
    """What is shown is right without it, so a ledger that cannot be written is no reason to show nothing."""
    try:
        changed = desk.complete_all(listed) if ledger.exists() else 0
    except MachineRefusal as refusal:
        display.warn(f"The ledger is left as it stands. {refusal}")
        return
    if changed:
        display.tell(f"{counted(changed, 'line')} of {ledger} completed with what Kaggle says.")


def _show(rows: Sequence[Row], competition: str, display: Display) -> None:
    if not rows:
        display.tell(f"No submission yet to {competition}, neither in the ledger nor in Kaggle's list.")
        return
    display.show(printed_submissions(rows, competition, display.console.width))
    for sentence in agreements(rows):
        display.tell(sentence)
    for row in rows:
        if row.trouble:
            display.tell(f"{row.name}, {row.when}: {row.trouble}")
