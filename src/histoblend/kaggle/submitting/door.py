"""What stops a submission before anybody is asked: synthetic patches, plain labels, and what the doctor finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from histoblend.artifacts.forms import RunNote, read_form
from histoblend.checking import CheckRequest, check_submission_file
from histoblend.competition.leak_check import refuse_hard_answers
from histoblend.competition.leaked_labels import labelled_test_ids
from histoblend.competition.locate import locate
from histoblend.competition.synthetic import is_synthetic
from histoblend.config_files import configs_folder
from histoblend.errors import ArtifactRefusal, DataRefusal
from histoblend.kaggle.submitting.entry import Entry
from histoblend.kaggle.submitting.request import SubmitRequest
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace


def refuse_synthetic(entry: Entry, request: SubmitRequest, environment: Mapping[str, str]) -> None:
    """Refuse predictions of drawn patches, whichever way they are named; nothing overrides it.

    Raises:
        DataRefusal: they are some.
    """
    where = _synthetic(entry, request, environment)
    if where:
        raise DataRefusal(
            f"{entry.path} is not for a leaderboard: {where} SYNTHETIC patches.",
            "predictions of the competition's test patches",
            "run on the real data (./run.sh download fetches it), and submit what comes of that.",
        )


def _synthetic(entry: Entry, request: SubmitRequest, environment: Mapping[str, str]) -> str:
    """What says that the patches are drawn, as the beginning of a sentence; empty where nothing does."""
    if entry.metrics is not None and entry.metrics.about.get("synthetic"):
        return f"{entry.name} was scored on"
    for folder in dict.fromkeys((entry.workspace.folder, *entry.path.parents)):
        record = Workspace(folder).run_record
        if record.is_file() and Workspace(folder).folds.is_file() and _of_drawn(record):
            return f"the run in {folder} worked on"
    if request.data is None and entry.workspace.run_record.exists():
        return ""
    located = locate(request.data, environment, configs_folder(environment).parent / "input")
    return f"{located.root} holds" if located is not None and is_synthetic(located.root) else ""


def _of_drawn(record: Path) -> bool:
    return read_form(record, RunNote).data.synthetic


def pass_doctor(
    entry: Entry, request: SubmitRequest, display: Display, environment: Mapping[str, str]
) -> None:
    """Let the doctor and the leak guard look at the file; a reason (`request.force`) overrides what they find.

    Raises:
        ArtifactRefusal: it would be refused or score wrongly, or its answers are plain labels.
    """
    known = entry.workspace.run_record.exists() or entry.workspace.folds.exists()
    output = entry.workspace.folder if known or request.output is not None else None
    code = check_submission_file(CheckRequest(entry.path, None, request.data, output), display, environment)
    if request.force:
        display.warn(f"Forced, because: {request.force}.")
        return
    _refuse_plain_labels(entry.path)
    if code != 0:
        raise ArtifactRefusal(
            f"{entry.path} is not submitted: the doctor's findings stand above.",
            "a file that nothing wrong is found with",
            "mend it; or, if the doctor errs: --force 'why', which the ledger keeps.",
        )


def _refuse_plain_labels(path: Path) -> None:
    """Refuse what the leak guard takes for labels; what is no table is left to the doctor."""
    try:
        table = pd.read_csv(path, usecols=["id", "label"], dtype=str, keep_default_na=False)
    except ValueError:
        return
    labelled = labelled_test_ids(table, pd.Series([], dtype=str), table["id"])
    if labelled:
        refuse_hard_answers(path, len(labelled), len(table))
