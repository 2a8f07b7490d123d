"""When a running task has to stop: at the end of an epoch, its state saved, before the session's time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


class TaskPaused(Exception):
    """A task stopped with its state saved after `epochs` epochs; started again it goes on from there."""

    def __init__(self, epochs: int) -> None:
        super().__init__(f"paused after epoch {epochs}")
        self.epochs = epochs


@dataclass(frozen=True)
class Deadline:
    """Until when a task may work.

    Attributes:
        ends: ``time.monotonic()`` at which it has to have stopped, by the clock of the process it works in.
        closing_seconds: what it takes from its last epoch to its end: prediction, which cannot be cut.
        epoch_seconds: an epoch, as `closing_seconds` has it; measured ones that are slower say that closing is too.
    """

    ends: float
    closing_seconds: float = 0.0
    now: Callable[[], float] = time.monotonic
    epoch_seconds: float = math.inf

    def allows(self, seconds: float) -> bool:
        """Whether work of that length would end in time."""
        return self.now() + seconds <= self.ends


LAST = 3  # epochs of which the slowest says what another one takes


class Pace:
    """How long the epochs of a running task take, its state's saving included, against its deadline."""

    def __init__(self, deadline: Deadline | None) -> None:
        self._deadline = deadline
        self._begun = 0.0
        self._epochs: list[float] = []

    def epoch_begins(self) -> None:
        """An epoch begins now."""
        if self._deadline is not None:
            self._begun = self._deadline.now()

    def epoch_ends(self) -> None:
        """It has ended and its state is saved."""
        if self._deadline is not None:
            self._epochs.append(self._deadline.now() - self._begun)

    def allows_epoch(self) -> bool:
        """Whether another epoch would end in time."""
        return self._deadline is None or self._deadline.allows(max(self._epochs[-LAST:], default=0.0))

    def allows_closing(self) -> bool:
        """Whether what follows the last epoch would end in time."""
        if self._deadline is None:
            return True
        slower = min(self._epochs, default=0.0) / self._deadline.epoch_seconds
        return self._deadline.allows(self._deadline.closing_seconds * max(slower, 1.0))
