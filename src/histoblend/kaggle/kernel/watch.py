"""`kernel watch`: a session followed to its end, whatever hiccups Kaggle has on the way, then pulled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.text import Text

from histoblend.config_kaggle import load_kaggle_settings
from histoblend.errors import Refusal, ServiceRefusal
from histoblend.kaggle.connection import Connection, connect
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.kernel.log import log_lines
from histoblend.kaggle.kernel.progress import Seen, has_ended, in_words, is_under_way
from histoblend.kaggle.kernel.pull import PULLED, pull_output
from histoblend.kaggle.kernel.records import FRESH_SECONDS, pushed_within, read_pushes
from histoblend.kaggle.kernel.request import PullRequest, workspace_of
from histoblend.kaggle.kernel.status import no_kernel
from histoblend.kaggle.kernels import Kernel, Look, look
from histoblend.reporting.progress import Display

TRIES = 30
"""Questions in a row without an answer, each of them repeated by the connection, before watching is given up."""
OLD_STATES = 4
"""Looks after a push at which Kaggle may still tell how the session before ended."""
QUIET_SECONDS = 600.0
"""Between two sentences about an unchanged state, where nothing is redrawn."""

Tell = Callable[[str], None]


def watch_kernel(request: PullRequest, display: Display, environment: Mapping[str, str]) -> None:
    """Follow the kernel's last session to its end, then fetch output and log.

    Raises:
        ServiceRefusal: there is no such kernel, or Kaggle does not answer for long; the session goes on then.
    """
    connection = connect(environment, display)
    kernel = Kernel(connection.username(), load_kaggle_settings(environment).kernel.slug)
    follow(request, connection, kernel, display, environment)


def follow(
    request: PullRequest,
    connection: Connection,
    kernel: Kernel,
    display: Display,
    environment: Mapping[str, str],
) -> None:
    """Follow the last session of `kernel` to its end and pull it."""
    workspace = workspace_of(request.output, environment)
    try:
        with _line(display) as redraw:
            doubted = OLD_STATES if pushed_within(read_pushes(workspace, kernel), FRESH_SECONDS) else 0
            seen = _to_its_end(connection, kernel, display, redraw, doubted)
    except Refusal:
        raise
    except BaseException:  # Ctrl-C, by whatever name the command line gives it
        display.warn(
            f"The session on Kaggle goes on. To follow it again: ./run.sh kernel watch. {kernel.address}"
        )
        raise
    found = look(connection, kernel, *PULLED)
    if seen.lines and found.output is not None:  # what it said between the last look and its end
        for line in log_lines(found.output.log)[seen.lines :]:
            display.tell(f"  | {line}")
    pull_output(connection, kernel, found, workspace, display)


def _to_its_end(connection: Connection, kernel: Kernel, display: Display, redraw: Tell, doubted: int) -> Seen:
    """All that was seen; an end that no other state came before is believed after `doubted` looks."""
    seen, told_why = Seen(), ""
    while True:
        before, found = seen.session, _asked(connection, kernel, seen)
        now = time.monotonic()
        seen = seen.missed() if found is None else seen.heard(found, now)
        if seen.session is not None and seen.session != before:
            display.tell(f"{kernel.ref} {in_words(seen.session)}.")
        if seen.no_log and not told_why:
            told_why = seen.no_log
            display.tell(f"Kaggle gives no log while it runs ({told_why}): it comes with the pull.")
        for line in seen.new_lines:
            display.tell(f"  | {line}")
        if seen.session is not None and has_ended(seen.session) and doubted <= 0:
            return seen
        doubted = 0 if seen.session is not None and is_under_way(seen.session) else doubted - 1
        if seen.overdue(now):
            raise _overdue(kernel)
        redraw(f"{kernel.ref} {seen.sentence(now)}")
        time.sleep(connection.patience.poll_seconds)


def _asked(connection: Connection, kernel: Kernel, seen: Seen) -> Look | None:
    """The answer to one more question; None where there was none, which may pass.

    Raises:
        ServiceRefusal: a failure that does not pass, or too many in a row.
    """
    try:
        found = look(connection, kernel, "session", "log")
    except CallFailure as failure:
        if not failure.passing:
            raise
        if seen.failures + 1 >= TRIES:
            raise _given_up(kernel, failure) from failure
        return None
    if found.session is None:
        raise no_kernel(kernel)
    return found


@contextmanager
def _line(display: Display) -> Iterator[Tell]:
    """A line that is redrawn on a terminal; elsewhere one now and then."""
    if display.live:
        with display.console.status("asking Kaggle") as status:
            yield lambda text: status.update(Text(text))
        return
    told = time.monotonic()

    def tell(text: str) -> None:
        nonlocal told
        if time.monotonic() - told >= QUIET_SECONDS:
            told = time.monotonic()
            display.tell(text)

    yield tell


def _given_up(kernel: Kernel, failure: CallFailure) -> ServiceRefusal:
    return ServiceRefusal(
        f"Kaggle has not answered {TRIES} questions in a row about {kernel.ref}. The last: {failure.found}",
        "the state of its session, which goes on whether it is watched or not",
        f"`./run.sh kernel watch` later; the kernel's page is {kernel.address}.",
    )


def _overdue(kernel: Kernel) -> ServiceRefusal:
    return ServiceRefusal(
        f"Kaggle says that {kernel.ref} is still running, but no session runs for more than 12 hours.",
        "a session that has ended",
        f"look at {kernel.address}; `./run.sh kernel watch` asks again.",
    )
