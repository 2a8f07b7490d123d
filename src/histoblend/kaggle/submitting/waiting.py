"""Waiting for a score: the list is asked again and again, and what is waited for is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from histoblend.errors import ServiceRefusal
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.connection import CallFailure
from histoblend.kaggle.submitting.desk import Desk
from histoblend.reporting.progress import Display, duration

POLLS = 120  # with 15 seconds between them: half an hour
SAID_EVERY = 4  # polls, where there is no terminal
LATER = "the ledger has it as pending: `histoblend submissions` fetches the score, the same command goes on waiting."


def wait_for_score(first: ListedSubmission, desk: Desk) -> ListedSubmission:
    """The submission as it is listed once it is scored, or once Kaggle could not score it.

    Raises:
        ServiceRefusal: the list cannot be had, or there is no score after `POLLS` looks.
    """
    if first.status != "pending":
        return first
    started = time.monotonic()
    desk.display.tell("Waiting for the score. Ctrl-C leaves it to `histoblend submissions`.")
    with _progress(desk.display) as say:
        for number in range(1, POLLS + 1):
            time.sleep(desk.connection.patience.poll_seconds)
            found = _asked(first, desk)
            if found.status != "pending":
                return found
            say(f"Not scored yet after {duration(time.monotonic() - started)}, asked {number} times.", number)
    raise ServiceRefusal(
        f"Kaggle has not scored the submission within {duration(time.monotonic() - started)}.",
        "a score",
        LATER,
    )


def _asked(first: ListedSubmission, desk: Desk) -> ListedSubmission:
    try:
        listed = desk.listed()
    except CallFailure as failure:
        raise ServiceRefusal(f"{failure.found}", failure.expected, LATER) from failure
    return next((one for one in listed if one.ref == first.ref), first)


@contextmanager
def _progress(display: Display) -> Iterator[Callable[[str, int], None]]:
    """A line that changes on a terminal; elsewhere a line now and then."""
    if not display.live:
        yield lambda text, number: display.tell(text) if number % SAID_EVERY == 1 else None
        return
    with display.console.status("Waiting for the score") as status:
        yield lambda text, number: status.update(text)
