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
LATER = "The ledger has it as pending: `./run.sh submissions` fetches the score, the same command goes on waiting."


def wait_for_score(first: ListedSubmission, desk: Desk) -> ListedSubmission:
    """The submission as it is listed once it is scored, or once Kaggle could not score it.

    Raises:
        ServiceRefusal: the list cannot be had, and that will not pass; or there is no score after `POLLS` looks.
    """
    if first.status != "pending":
        return first
    started, poll = time.monotonic(), desk.connection.patience.poll_seconds
    pause = poll
    desk.display.tell("Waiting for the score. Ctrl-C leaves it to `./run.sh submissions`.")
    with _progress(desk.display) as say:
        for number in range(1, POLLS + 1):
            time.sleep(pause)
            try:
                found, pause = desk.row(lambda one: one.ref == first.ref) or first, poll
            except CallFailure as failure:
                found, pause = first, _pause_after(failure, (POLLS - number) * poll, poll)
                desk.display.tell(f"{failure.found} Still waiting.")
            if found.status != "pending":
                return found
            say(f"Not scored yet after {duration(time.monotonic() - started)}, asked {number} times.", number)
    raise ServiceRefusal(
        f"Kaggle has not scored the submission within {duration(time.monotonic() - started)}.",
        "a score",
        LATER,
    )


def _pause_after(failure: CallFailure, left: float, poll: float) -> float:
    """Seconds until the next look: what passes counts as a look without a score.

    Raises:
        ServiceRefusal: it does not pass, or Kaggle asks to wait for longer than is `left`.
    """
    asked = failure.retry_after or 0
    if not failure.passing or asked > left:
        raise ServiceRefusal(failure.found, failure.expected, f"{failure.remedy}\n{LATER}") from failure
    return max(asked, poll)


@contextmanager
def _progress(display: Display) -> Iterator[Callable[[str, int], None]]:
    """A line that changes on a terminal; elsewhere a line now and then."""
    if not display.live:
        yield lambda text, number: display.tell(text) if number % SAID_EVERY == 1 else None
        return
    with display.console.status("Waiting for the score") as status:
        yield lambda text, number: status.update(text)
