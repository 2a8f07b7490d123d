"""One submission on its way: sent once, then looked for in the list, which alone proves that it arrived."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from histoblend.errors import ArtifactRefusal, ServiceRefusal
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.connection import CallFailure
from histoblend.kaggle.submitting.description import mark_of
from histoblend.kaggle.submitting.desk import Desk
from histoblend.kaggle.submitting.earlier import DOUBT
from histoblend.kaggle.submitting.entry import Entry
from histoblend.workspace import file_hash, storage_errors

LOOKS = 5  # at the list, for a row that should be there
NEVER_ARRIVED = ("upload", "unauthorised", "forbidden", "not found", "too many", "refused", "missing")
"""Kinds of failures after which nothing can have been created: refused in so many words, or never sent."""
BEFORE = ("StartSubmissionUpload", "submission-url", "IntrospectToken")
"""Calls that come before the creation, as the addresses of clients 1.7 to 2.2 end; of any other nothing is certain."""


@contextmanager
def private_copy(entry: Entry) -> Iterator[Path]:
    """The bytes that were checked, under the same file name, whatever a run makes of the file meanwhile.

    Raises:
        ArtifactRefusal: it is another file by now.
    """
    with TemporaryDirectory(prefix="histoblend-") as folder:
        path = Path(folder) / entry.path.name
        with storage_errors(path):
            shutil.copyfile(entry.path, path)
        if file_hash(path) != entry.file_hash:
            raise ArtifactRefusal(
                f"{entry.path} has changed since it was checked.",
                "the bytes that were looked at",
                "type the same command again: it checks what lies there now.",
            )
        yield path


def deliver(path: Path, description: str, desk: Desk) -> ListedSubmission:
    """Send a file whose attempt stands in the ledger; what Kaggle then lists.

    Where the failure proves that nothing was created, and may have passed, it is sent once more. An attempt of which
    that is certain is taken out of the ledger; any other stays, for the same command to look for again.

    Raises:
        ServiceRefusal: it did not arrive, or nobody knows whether it did.
    """
    for again in (False, True):
        try:
            sent = desk.send(path, description)
        except CallFailure as failure:
            found = _looked_for(description, desk, certain=never_arrived(failure), failure=failure)
            if found is not None:
                return found
            if not again and _may_pass(failure, desk):
                desk.display.tell(f"{failure.found} Nothing was created, so it is sent once more.")
                time.sleep(failure.retry_after or desk.connection.patience.pause_seconds)
                continue
            raise _lost(description, desk, failure) from failure
        found = _looked_for(description, desk, ref=sent.ref)
        if found is not None:
            return found
        raise _not_listed(sent.words)
    raise AssertionError("a second failure raises")


def never_arrived(failure: CallFailure) -> bool:
    """Whether a failed call certainly created nothing."""
    return failure.kind in NEVER_ARRIVED or failure.call in BEFORE


def _may_pass(failure: CallFailure, desk: Desk) -> bool:
    """Whether nothing was created and another try may do better, in a time that is waited."""
    waits = (failure.retry_after or 0) <= desk.connection.patience.longest_pause
    return never_arrived(failure) and (failure.kind == "upload" or failure.passing) and waits


def _looked_for(
    description: str, desk: Desk, certain: bool = False, failure: CallFailure | None = None, ref: int = 0
) -> ListedSubmission | None:
    """The row with this description's mark, or this ref: one look where it is certainly not there, else several.

    Raises:
        ServiceRefusal: the list cannot be had, so that nobody knows.
    """
    pause, mark = desk.connection.patience.poll_seconds, mark_of(description)
    for number in range(1 if certain else LOOKS):
        if number:
            time.sleep(pause)
        try:
            found = desk.row(lambda one: mark_of(one.description) == mark or one.ref == (ref or None))
        except CallFailure as refusal:
            if certain:
                return None
            first = f"{failure.found}\n" if failure is not None else ""
            raise ServiceRefusal(
                f"{first}Whether the submission arrived is not known: {refusal.found}",
                "the list of submissions",
                "type the same command again: it looks first, and sends nothing twice.",
            ) from refusal
        if found is not None:
            return found
    return None


def _lost(description: str, desk: Desk, failure: CallFailure) -> ServiceRefusal:
    if never_arrived(failure):
        desk.forget(description)
        return failure
    return ServiceRefusal(
        f"{failure.found}\nKaggle lists no such submission, looked for {LOOKS} times.",
        "a reply, or a row in the list",
        f"type the same command again: it looks for the row first, and sends anew only {_minutes()} after this "
        "attempt, when a row that is not listed cannot come any more.",
    )


def _not_listed(words: str) -> ServiceRefusal:
    return ServiceRefusal(
        f"Kaggle says {words!r}, but lists no such submission, looked for {LOOKS} times. It says so at the daily limit "
        "too.",
        "the submission in the list",
        "look at the competition's page whether today's submissions are used up. The same command looks for the row "
        f"first, and sends anew only {_minutes()} after this attempt.",
    )


def _minutes() -> str:
    return f"{DOUBT.total_seconds() / 60:.0f} minutes"
