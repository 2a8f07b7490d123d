"""Where submissions are handed in: the competition on Kaggle on one side, the ledger on the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from histoblend.config_kaggle import KaggleSettings
from histoblend.errors import ServiceRefusal
from histoblend.kaggle import competitions
from histoblend.kaggle.competitions import ListedSubmission, Sent
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.submitting.description import mark_of
from histoblend.kaggle.submitting.line import written
from histoblend.kaggle.submitting.matching import Pair, completed, matched
from histoblend.ledger import Submission, read_submissions, understood
from histoblend.ledger_file import LedgerText
from histoblend.ledger_writing import change_ledger
from histoblend.reporting.progress import Display

RENEWED = 60.0  # seconds between two words in the ledger of an upload that goes on


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

    def row(self, wanted: Callable[[ListedSubmission], bool]) -> ListedSubmission | None:
        """The listed submission that is wanted: of the newest page, else of all."""
        newest = competitions.list_submissions(self.connection, self.settings.competition, pages=1)
        return next(filter(wanted, newest), None) or next(filter(wanted, self.listed()), None)

    def send(self, path: Path, description: str) -> Sent:
        """Send a file once; what is said of it is no proof of anything.

        Raises:
            ServiceRefusal: it failed, or another command has given this attempt up meanwhile.
        """
        told = time.monotonic()
        self.renew(description)

        def moves(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told >= RENEWED:
                told = time.monotonic()
                self.renew(description)

        return competitions.send_submission(
            self.connection, path, description, self.settings.competition, moves
        )

    def paired(self, listed: Sequence[ListedSubmission]) -> list[Pair]:
        """The ledger beside what is listed."""
        return matched(read_submissions(self.ledger), listed)

    def begin(self, cells: Mapping[str, str], known: Collection[tuple[str, str]]) -> None:
        """Enter an attempt before anything is sent, unless another command has done something with the same bytes.

        Args:
            cells: of the new line.
            known: `open_lines` when it was decided that these bytes are to be sent.

        Raises:
            ServiceRefusal: one has.
        """

        def enter(ledger: LedgerText) -> LedgerText:
            lines = understood(ledger, self.ledger)
            if open_lines(lines, cells["file_hash"]) - set(known):
                raise ServiceRefusal(
                    f"Another command is sending the same bytes, or has just sent them; see {self.ledger}.",
                    "one command at a time",
                    "wait for it, then type this one again: it finds what the other did.",
                )
            return ledger.added(cells)

        change_ledger(self.ledger, enter)

    def renew(self, description: str) -> None:
        """Say that an attempt goes on: it is in doubt from now on only.

        Raises:
            ServiceRefusal: another command has given it up, and may have sent the same bytes.
        """

        def change(ledger: LedgerText, line: Submission) -> LedgerText:
            if line.status != "sending":
                raise self._given_up()
            return ledger.changed(line.place, {"when": written(datetime.now(UTC))})

        if not self._at(description, change):
            raise self._given_up()

    def _given_up(self) -> ServiceRefusal:
        return ServiceRefusal(
            f"This attempt took so long that another command has given it up; see {self.ledger}.",
            "one command at a time",
            "type the same command again: it looks first what has arrived.",
        )

    def give_up(self, description: str) -> None:
        """Note that an attempt whose outcome was not known never arrived."""
        self._at(
            description,
            lambda ledger, line: (
                ledger.changed(line.place, {"status": "lost"}) if line.status == "sending" else ledger
            ),
        )

    def enter_listed(self, description: str, one: ListedSubmission) -> None:
        """Note what Kaggle lists of the line with this description."""
        self._at(description, lambda ledger, line: ledger.changed(line.place, completed(line, one)))

    def forget(self, description: str) -> None:
        """Take an attempt out again of which nothing can have arrived."""
        self._at(description, lambda ledger, line: ledger.without(line.place))

    def _at(self, description: str, change: Callable[[LedgerText, Submission], LedgerText]) -> bool:
        """Change the line of an attempt; whether it is there."""
        mark, found = mark_of(description), False

        def apply(ledger: LedgerText) -> LedgerText:
            nonlocal found
            for line in understood(ledger, self.ledger):
                if mark_of(line.description) == mark:
                    found = True
                    return change(ledger, line)
            return ledger

        change_ledger(self.ledger, apply)
        return found

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


def open_lines(lines: Sequence[Submission], file_hash: str) -> set[tuple[str, str]]:
    """Description and status of what the ledger has of these bytes, but for attempts that never arrived."""
    return {
        (one.description, one.status) for one in lines if one.file_hash == file_hash and one.status != "lost"
    }


def moment(text: str) -> datetime | None:
    """A moment of the ledger; None where there is none, or what a spreadsheet program made of it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
