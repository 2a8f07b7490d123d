"""What the process of a run and the processes of its tasks say to each other, pickled, one after the other.

A run's process writes to a task's standard input; a task's process answers on what was its standard output.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import pandas as pd

from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.pack import Pack
from histoblend.errors import Refusal
from histoblend.execution.device import Device
from histoblend.execution.jobs import Job
from histoblend.training.deadline import Deadline
from histoblend.training.task import TaskInputs
from histoblend.workspace import Workspace


@dataclass(frozen=True)
class Ground:
    """`TaskInputs` as plain data: the feed's processes and the one to tell are the task's process's own."""

    workspace: Workspace
    pack: Pack
    folds: pd.DataFrame
    device: Device
    synthetic: bool
    classes: tuple[str, ...]

    @classmethod
    def of(cls, inputs: TaskInputs) -> Ground:
        """What of `inputs` travels."""
        shared = (inputs.workspace, inputs.pack, inputs.folds, inputs.device)
        return cls(*shared, inputs.synthetic, inputs.classes)

    def inputs(self, workers: FeedWorkers, tell: Any) -> TaskInputs:
        """What all tasks share, in the process that received this."""
        shared = (self.workspace, self.pack, self.folds, self.device)
        return TaskInputs(*shared, workers, self.synthetic, self.classes, tell)


@dataclass(frozen=True)
class Order:
    """A task to be done; seconds rather than a time, since not all systems have one clock for all processes."""

    job: Job
    seconds_left: float | None
    """Until it has to have stopped; None for no deadline."""
    closing_seconds: float = 0.0
    epoch_seconds: float = math.inf

    @classmethod
    def of(cls, job: Job, deadline: Deadline | None) -> Order:
        """The order to do `job` until `deadline`."""
        if deadline is None:
            return cls(job, None)
        left = deadline.ends - deadline.now()
        return cls(job, left, deadline.closing_seconds, deadline.epoch_seconds)

    def deadline(self) -> Deadline | None:
        """The deadline by the clock of the process that received this a moment ago."""
        if self.seconds_left is None:
            return None
        ends = time.monotonic() + self.seconds_left
        return Deadline(ends, self.closing_seconds, epoch_seconds=self.epoch_seconds)


@dataclass(frozen=True)
class Ready:
    """The process is there; `mask` is what it sees of the cards."""

    pid: int
    mask: str | None


@dataclass(frozen=True)
class Said:
    """A line for the user."""

    text: str


@dataclass(frozen=True)
class Observed:
    """A call of the observer's method `name` with `values`."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Finished:
    """The task is done; `result` is the content of its done.json."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Paused:
    """The task stopped at the end of its deadline, its state saved."""

    epochs: int


@dataclass(frozen=True)
class Refused:
    """The task met something the user can act on: the refusal's class and its three parts."""

    kind: type[Refusal]
    parts: tuple[str, str, str]

    @classmethod
    def of(cls, refusal: Refusal) -> Refused:
        """What of `refusal` travels, whatever its own class takes."""
        return cls(type(refusal), (refusal.found, refusal.expected, refusal.remedy))

    def refusal(self) -> Refusal:
        """The refusal again."""
        again = self.kind.__new__(self.kind)
        Refusal.__init__(again, *self.parts)
        return again


@dataclass(frozen=True)
class Failed:
    """The task met an error nobody foresaw."""

    error: str
    traceback: str


@dataclass(frozen=True)
class Gone:
    """The process is no more; said for it by whoever listened."""


Message = Ready | Said | Observed | Finished | Paused | Refused | Failed | Gone
