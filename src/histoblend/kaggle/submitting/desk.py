"""Where submissions are handed in: the competition on Kaggle on one side, the ledger on the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from histoblend.config_kaggle import KaggleSettings
from histoblend.errors import ServiceRefusal
from histoblend.kaggle import competitions
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.submitting.description import mark_of
from histoblend.kaggle.submitting.matching import Pair, completed, matched
from histoblend.ledger import Submission, read_submissions, understood
from histoblend.ledger_file import LedgerText
from histoblend.ledger_writing import change_ledger
from histoblend.reporting.progress import Display


@dataclass(frozen=True)
class Desk:
    """Competition and ledger of one command."""

    connection: Connection
    settings: KaggleSettings
    ledger: Path
    display: Display

    def listed(self) -> list[ListedSubmission]:
        """What Kaggle lists of the team's submissions, the newest first."""
        return competitions.list_submissions(self.connection, self.settings.competition)

    def send(self, path: Path, description: str) -> str:
        """Send a file once; what the client says of it is no proof of anything."""
        return competitions.send_submission(self.connection, path, description, self.settings.competition)

    def paired(self, listed: Sequence[ListedSubmission]) -> list[Pair]:
        """The ledger beside what is listed."""
        return matched(read_submissions(self.ledger), listed)

    def begin(self, cells: Mapping[str, str]) -> None:
        """Enter an attempt before anything is sent, unless another process has just done so with the same bytes.

        Raises:
            ServiceRefusal: one has.
        """

        def enter(ledger: LedgerText) -> LedgerText:
            for one in understood(ledger, self.ledger):
                if one.status == "sending" and one.file_hash == cells["file_hash"]:
                    raise ServiceRefusal(
                        f"Another command began to send the same bytes at {one.when}; see {self.ledger}.",
                        "one command at a time",
                        "wait for it, then type this one again: it finds what the other did.",
                    )
            return ledger.added(cells)

        change_ledger(self.ledger, enter)

    def note(self, description: str, cells: Mapping[str, str]) -> None:
        """Change cells of the line with this description."""
        self._at(description, lambda ledger, line: ledger.changed(line.place, cells))

    def enter_listed(self, description: str, one: ListedSubmission) -> None:
        """Note what Kaggle lists of the line with this description."""
        self._at(description, lambda ledger, line: ledger.changed(line.place, completed(line, one)))

    def forget(self, description: str) -> None:
        """Take an attempt out again of which nothing can have arrived."""
        self._at(description, lambda ledger, line: ledger.without(line.place))

    def _at(self, description: str, change: Callable[[LedgerText, Submission], LedgerText]) -> None:
        mark = mark_of(description)

        def apply(ledger: LedgerText) -> LedgerText:
            for line in understood(ledger, self.ledger):
                if mark_of(line.description) == mark:
                    return change(ledger, line)
            return ledger

        change_ledger(self.ledger, apply)

    def complete_all(self, listed: Sequence[ListedSubmission]) -> int:
        """Fill in everything Kaggle lists of the ledger's lines; how many lines were changed."""
        changed = 0

        def fill(ledger: LedgerText) -> LedgerText:
            nonlocal changed
            for pair in matched(understood(ledger, self.ledger), listed):
                if pair.line is None or pair.listed is None:
                    continue
                if cells := completed(pair.line, pair.listed):
                    ledger, changed = ledger.changed(pair.line.place, cells), changed + 1
            return ledger

        change_ledger(self.ledger, fill)
        return changed


def moment(text: str) -> datetime | None:
    """A moment of the ledger; None where there is none, or what a spreadsheet program made of it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
