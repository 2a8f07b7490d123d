"""Time left of long work, from how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable

from histoblend.reporting.progress import duration

FIRST = 10.0  # seconds of work before a guess is worth telling
AGAIN = 60.0  # seconds between two of them
WORTH = 20.0  # seconds left that are worth telling


class TimeLeft:
    """A counter of (done, all) that passes on what it is told and says now and then how long it will take."""

    def __init__(
        self,
        count: Callable[[int, int], None],
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count, self._tell, self._clock = count, tell, clock
        self._started = clock()
        self._next = self._started + FIRST

    def __call__(self, done: int, total: int) -> None:
        """Work stands at `done` of `total`."""
        self._count(done, total)
        now = self._clock()
        if now < self._next or not 0 < done < total:
            return
        left = (now - self._started) * (total - done) / done
        if left >= WORTH:
            self._tell(f"{done:,} of {total:,}; about {duration(left)} left.")
        self._next = now + AGAIN
