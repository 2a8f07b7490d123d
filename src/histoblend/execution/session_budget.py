"""The time budget of a session: until when tasks may run, what is kept back, and what became of the tasks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from histoblend.errors import ConfigRefusal
from histoblend.execution.jobs import Job

STARTED = "HISTOBLEND_SESSION_STARTED"
"""Unix seconds at which a session began, where something before this process counts too (a script that unpacks)."""
# Seconds by training or test patch and member, measured at 220,025 + 57,458 patches and 30 members on two cores:
# blending with its nested audit 113 s, the report 25 s; four times that, for slower cores, collecting and ranking.
TAIL_A_PATCH = 4 * (113 + 25) / (30 * 277_483)
TAIL = 20.0  # whatever the size: 23 s measured with start and six jobs beside it on two cores
REPORT = 40.0  # pictures and plots: 16 s measured
PACKED_A_SECOND = (
    30e6  # bytes of artifacts that are packed into few files in a second, where a session hands them back
)


@dataclass(frozen=True)
class SessionBudget:
    """Until when this session's tasks may run.

    Attributes:
        ends: ``time.monotonic()`` at which tasks have to have stopped; the reserved tail is taken off already.
        session_seconds: what a whole session of this budget has for tasks, start-up and tail taken off.
    """

    ends: float
    session_seconds: float
    now: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Seconds until tasks have to have stopped."""
        return self.ends - self.now()


@dataclass(frozen=True)
class Left:
    """A task that is not finished.

    Attributes:
        epochs_done: whose results are saved.
        seconds: what is left of it is estimated to take.
        piece: seconds of the smallest piece of it that brings it on: an epoch with its start, or all in one.
    """

    job: Job
    epochs_done: int
    seconds: float
    piece: float

    def record(self) -> dict[str, Any]:
        """As it stands in paused.json."""
        return {
            "experiment": self.job.experiment.name,
            "fold": self.job.fold,
            "epochs_done": self.epochs_done,
            "epochs": self.job.estimate.epochs,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Outcome:
    """What became of a run's tasks.

    Attributes:
        finished: those this session has finished.
        left: the others, in the order of the plan.
        failures: of tasks that met what nobody foresaw, told already; they are among those left.
    """

    finished: Sequence[Job] = ()
    left: Sequence[Left] = ()
    failures: Sequence[Exception] = ()

    def raise_failure(self) -> None:
        """End with the first failure, if there is one.

        Raises:
            MachineRefusal: memory ran out in a task, or its process died as often as it may.
            TaskError: a task met an error nobody foresaw.
        """
        if self.failures:
            raise self.failures[0]

    @property
    def unfinished(self) -> list[Job]:
        """The tasks that are left, whether begun or not."""
        return [one.job for one in self.left]

    @property
    def seconds_left(self) -> float:
        """What these are estimated to take, one after the other."""
        return sum(one.seconds for one in self.left)


def session_started(environment: Mapping[str, str], now: float) -> float:
    """``time.monotonic()`` at which this session began: as the environment says, else when this run did.

    Args:
        now: ``time.monotonic()`` at which this run began, some time ago.

    Raises:
        ConfigRefusal: what the environment says is no time, or in the future.
    """
    if not (text := environment.get(STARTED)):
        return now
    try:
        ago = time.time() - float(text)
    except ValueError:
        ago = -math.inf
    if ago < -1:  # clocks are set now and then
        raise ConfigRefusal(
            f"{STARTED} is {text!r}.",
            "seconds since 1970, in the past: $(date +%s)",
            f"mend it, or unset {STARTED}.",
        )
    return min(now, time.monotonic() - ago)


def tail_seconds(patches: int, members: int, report: bool, packed_bytes: float = 0.0) -> float:
    """What is kept back of a budget for collecting, blending, auditing, ranking, report and packing; generous.

    Args:
        patches: training and test patches.
        members: of the blend, at most.
        packed_bytes: artifacts to be packed for handing back; 0 where they stay where they are.
    """
    return (
        TAIL + patches * members * TAIL_A_PATCH + (REPORT if report else 0.0) + packed_bytes / PACKED_A_SECOND
    )


def sessions_needed(
    tasks: Sequence[float], session_seconds: float, lanes: int = 1, restart: float = 0.0
) -> int | None:
    """Sessions that tasks of these lengths take, in order: what does not fit waits, what never fits is cut.

    Args:
        restart: seconds that a task that was cut takes before it goes on.

    Returns:
        None where a session brings none of them on.
    """
    waiting, sessions = list(tasks), 0
    while waiting:
        left = _after_session(waiting, session_seconds, lanes, restart)
        if sum(left) >= sum(waiting):
            return None
        waiting, sessions = left, sessions + 1
    return sessions


def fit_together(tasks: Sequence[float], seconds: float, lanes: int = 1) -> bool:
    """Whether all tasks of these lengths, in order, can be finished within `seconds`."""
    return not _after_session(tasks, seconds, lanes, math.inf)


def _after_session(tasks: Sequence[float], session_seconds: float, lanes: int, restart: float) -> list[float]:
    free, waiting = [session_seconds] * lanes, []
    for task in tasks:
        lane = max(range(lanes), key=free.__getitem__)
        if task <= free[lane]:
            free[lane] -= task
        elif task > session_seconds and free[lane] > restart:
            waiting.append(task - free[lane] + restart)
            free[lane] = 0.0
        else:
            waiting.append(task)
    return waiting
