"""A dataset on Kaggle, typed: what is there, what it holds, and sending files to it until they are listed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from histoblend.errors import ServiceRefusal, some
from histoblend.kaggle import dataset_calls
from histoblend.kaggle.connection import Connection, Progress
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.named import Named

READY, FAILED, DELETED = "ready", "failed", "deleted"
READY_POLLS = 160
"""Looks at a version that is being processed; every 15 s that is 40 minutes."""
LISTED_POLLS = 8
"""Looks at the files of a version that is ready before what is missing counts as missing."""
ABSENT = ("not found", "forbidden")  # Kaggle may say either of what is not there
IN_USE = "in use"
Compared = Callable[[Mapping[str, int]], list[str]]
"""Size by name of what Kaggle lists -> what is wrong with it, in words; nothing where all is as it was sent."""


class Dataset(Named):
    """A dataset's name on Kaggle."""

    section = "datasets"


@dataclass(frozen=True)
class State:
    """The newest version.

    Attributes:
        word: ``ready``, ``failed`` or one of Kaggle's words for being processed.
        files: size in bytes by name; empty unless it is ready.
    """

    word: str
    version: int
    private: bool
    files: Mapping[str, int] = field(default_factory=dict)


def look(connection: Connection, dataset: Dataset) -> State | None:
    """How it stands; None where there is none of this name that this user may see.

    Raises:
        CallFailure: Kaggle does not say.
    """
    try:
        found = connection.ask(dataset_calls.describe, again=True, dataset=dataset.ref)
    except CallFailure as failure:
        if failure.kind in ABSENT:
            return None
        raise
    if found["state"] == DELETED:
        return None
    return State(found["state"], found["version"], found["private"], found["files"])


def send(
    connection: Connection,
    dataset: Dataset,
    folder: Path,
    notes: str,
    before: State | None,
    progress: Progress,
) -> None:
    """Send the files in `folder` as a new dataset, or as a new version where `before` says there is one.

    Never twice: after a failure that may pass it looks first whether the version has come to be.

    Raises:
        ServiceRefusal: Kaggle refused it, or could not be reached long enough.
    """
    patience, pause = connection.patience, connection.patience.pause_seconds
    for attempt in range(1, patience.tries + 1):
        try:
            objection = _send_once(connection, dataset, folder, notes, before, progress)
        except CallFailure as failure:
            arrived = look(connection, dataset) if failure.passing else None
            if arrived is not None and (before is None or arrived.version > before.version):
                connection.tell(f"{failure.found} But version {arrived.version} of {dataset.ref} is there.")
                return
            if attempt == patience.tries or not (failure.passing or failure.kind == "upload"):
                raise
            connection.tell(f"{failure.found} Nothing has come of it; trying again.")
            time.sleep(failure.retry_after or pause)
            pause = min(pause * 2, patience.longest_pause)
            continue
        if objection:
            if attempt > 1 and IN_USE in objection and _has_shown(connection, dataset):
                connection.tell(f"{objection} It is what an earlier try has made: {dataset.ref} is there.")
                return
            raise _refused(dataset, objection)
        return


def _has_shown(connection: Connection, dataset: Dataset) -> bool:
    """Whether a dataset whose making had no answer shows, now or in a while."""
    for _ in range(LISTED_POLLS):
        if look(connection, dataset) is not None:
            return True
        time.sleep(connection.patience.poll_seconds)
    return False


def _send_once(
    connection: Connection,
    dataset: Dataset,
    folder: Path,
    notes: str,
    before: State | None,
    progress: Progress,
) -> str:
    """One try; what Kaggle objects to."""
    place = {"dataset": dataset.ref, "folder": str(folder)}
    if before is None:
        return str(connection.ask(dataset_calls.create, again=False, progress=progress, **place))
    return str(
        connection.ask(dataset_calls.add_version, again=False, progress=progress, notes=notes, **place)
    )


def wait_ready(connection: Connection, dataset: Dataset, progress: Progress) -> State:
    """Wait until the newest version has been processed.

    Raises:
        ServiceRefusal: it failed, vanished, or is not done in the time that is waited.
    """
    word = "nowhere"
    for poll in range(READY_POLLS):
        progress(poll, READY_POLLS)
        state = look(connection, dataset)
        word = state.word if state is not None else "nowhere"
        if state is not None and word == READY:
            return state
        if word == FAILED:
            raise ServiceRefusal(
                f"Kaggle could not process the newest version of {dataset.ref}: its state is {word}.",
                f"the state {READY}",
                f"open {dataset.address}, which may say why; then the same command again.",
            )
        time.sleep(connection.patience.poll_seconds)
    raise ServiceRefusal(
        f"After {READY_POLLS} looks {dataset.ref} is {word.replace('_', ' ')}, not ready.",
        f"the state {READY}",
        f"look at {dataset.address}; the same command later goes on from here and sends nothing twice.",
    )


def wait_listed(connection: Connection, dataset: Dataset, compared: Compared, progress: Progress) -> State:
    """Wait until the newest version has been processed and Kaggle lists what was sent.

    Raises:
        ServiceRefusal: it failed, is not done in the time that is waited, or is ready and lists something else.
    """
    wrong: list[str] = []
    for _ in range(LISTED_POLLS):  # at first the version before may still be the newest
        state = wait_ready(connection, dataset, progress)
        if not (wrong := compared(state.files)):
            return state
        time.sleep(connection.patience.poll_seconds)
    raise ServiceRefusal(
        f"Kaggle does not list what was sent to {dataset.ref}: {some(wrong)}.",
        "every file that was sent, with its size",
        f"look at {dataset.address}; the same command again makes a new version.",
    )


def _refused(dataset: Dataset, objection: str) -> ServiceRefusal:
    if IN_USE in objection:
        return ServiceRefusal(
            f"Kaggle did not make {dataset.ref}: {objection}",
            "a name that no dataset of yours bears, or a dataset that this credential may see",
            "set another assets.slug in configs/kaggle.yaml, or delete the dataset of that name on Kaggle.",
        )
    return ServiceRefusal(
        f"Kaggle did not take {dataset.ref}: {objection}",
        "a version that is made",
        "mend what Kaggle objects to, then the same command again. An invalid token is an upload that has expired: "
        "the same command uploads anew.",
    )
