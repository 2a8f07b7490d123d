"""A competition on Kaggle, typed: its submissions, its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from histoblend.kaggle import competition_calls
from histoblend.kaggle.connection import Connection, Progress

Status = Literal["pending", "complete", "error"]
STATUSES: dict[str, Status] = {"PENDING": "pending", "COMPLETE": "complete", "ERROR": "error"}


@dataclass(frozen=True)
class ListedSubmission:
    """A submission as Kaggle lists it; scores only when it is complete and they may be seen."""

    ref: int
    date: datetime
    description: str
    file_name: str
    status: Status
    public_score: float | None
    private_score: float | None
    error: str


@dataclass(frozen=True)
class Listing:
    """Files of a competition.

    Attributes:
        sizes: bytes by name.
        complete: whether these are all; of thousands only the first are asked for.
    """

    sizes: dict[str, int]
    complete: bool


@dataclass(frozen=True)
class Sent:
    """What is said of a submission that was sent: no proof that it arrived.

    Attributes:
        words: the client's.
        ref: what it is listed under if it is; 0 where none was given.
    """

    words: str
    ref: int = 0


def list_submissions(
    connection: Connection, competition: str, pages: int = competition_calls.MOST_PAGES
) -> list[ListedSubmission]:
    """Every submission of the user's team, or the newest `pages` pages of them; the newest first."""
    rows = connection.ask(
        competition_calls.list_submissions, again=True, competition=competition, pages=pages
    )
    return sorted((_submission(row) for row in rows), key=lambda row: row.date, reverse=True)


def send_submission(
    connection: Connection, path: Path, description: str, competition: str, progress: Progress
) -> Sent:
    """Send the file once, however long it takes while it moves; look for it in the list then.

    Raises:
        CallFailure: it failed; only after the kind ``"upload"`` is it certain that nothing has arrived.
    """
    said = connection.ask(
        competition_calls.send_submission,
        again=False,
        progress=progress,
        path=str(path),
        description=description,
        competition=competition,
    )
    return Sent(said["words"], int(said["ref"]))


def list_files(connection: Connection, competition: str) -> Listing:
    """The competition's files."""
    listed = connection.ask(competition_calls.list_files, again=True, competition=competition)
    return Listing(listed["sizes"], listed["complete"])


def fetch_archive(connection: Connection, competition: str, path: Path, progress: Progress) -> int:
    """Fetch all files as one archive to `path`, going on with an earlier attempt; its size in bytes.

    What has come so far lies beside it, under the same name with ``.part`` after it.
    """
    fetch = competition_calls.fetch_archive
    return int(connection.ask(fetch, again=True, progress=progress, competition=competition, path=str(path)))


def _submission(row: dict[str, Any]) -> ListedSubmission:
    moment = datetime.fromisoformat(row["date"])
    return ListedSubmission(
        ref=row["ref"],
        date=moment if moment.tzinfo else moment.replace(tzinfo=UTC),
        description=row["description"],
        file_name=row["file_name"],
        status=STATUSES.get(row["status"].rpartition(".")[2].upper(), "pending"),
        public_score=_score(row["public_score"]),
        private_score=_score(row["private_score"]),
        error=row["error"],
    )


def _score(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
