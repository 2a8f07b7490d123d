"""Which task comes next, and whether it fits: asked by every executor, whether tasks run one by one or side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from histoblend.execution.clock import Clock
from histoblend.execution.jobs import Job
from histoblend.execution.measured import learn_folder
from histoblend.execution.session_budget import Left, Outcome, SessionBudget, fit_together
from histoblend.training.deadline import Deadline
from histoblend.training.observer import Observer

GRACE = 60.0  # seconds past the budget's end for which a task that has to have stopped is still waited for


class Schedule:
    """The tasks of a session: those waiting, running, finished and paused.

    Without a budget they run in the order they came in. With one, tasks of experiments that can be completed in this
    session come first, since only complete experiments are blended: those with the least left to do before others. Then
    come tasks begun in an earlier session, and what fits. What does not fit is not started, and a later task that fits
    is. Two kinds may be cut at an epoch's end, if one epoch fits: tasks begun already, and those that are too long for
    a whole session, which would never be made else. A student waits for its teachers, and an estimator for another one:
    the patches are described once, for all.

    Args:
        jobs: in order, teachers first; those that are done already are witnesses of what the others take.
        device: label of what they run on; times of other devices say nothing.
        lanes: how many run at the same time.
    """

    def __init__(
        self, jobs: Sequence[Job], device: str, budget: SessionBudget | None, lanes: int = 1
    ) -> None:
        self.total = [job for job in jobs if not job.tasks_folder.done.exists()]
        self.clock = Clock([job.estimate for job in self.total], lanes)
        self._device, self._budget, self._lanes = device, budget, lanes
        self._waiting = list(self.total)
        self._running: list[Job] = []
        self._finished: list[Job] = []
        self._failures: list[Exception] = []
        self._failed_experiments: set[str] = set()
        self._epochs = {job.estimate: self._learn(job) for job in jobs}

    def take(self) -> Job | None:
        """The next task to start; None where none may be started now: ask again when one of the running ones ends."""
        ready = [job for job in self._waiting if self._ready(job)]
        if self._budget is not None:
            ready = sorted(ready, key=lambda job: sum(self._left_of_experiment(job)))
        tests = (self._completes, self._goes_on, self._fits, self._never_fits)
        job = next((one for test in tests for one in ready if test(one)), None)
        if job is not None:
            self._waiting.remove(job)
            self._running.append(job)
            self.clock.start(job.estimate)
        return job

    def number(self, job: Job) -> str:
        """``[2/6]``: its place in the order it came in."""
        return f"[{self.total.index(job) + 1}/{len(self.total)}]"

    def is_cut(self, job: Job) -> bool:
        """Whether it will not be finished in this session, as far as is known."""
        return self._budget is not None and self.clock.expected(job.estimate).total > self._budget.left()

    def deadline(self, job: Job) -> Deadline | None:
        """When `job` has to stop at an epoch's end."""
        if self._budget is None or not job.can_be_cut:
            return None
        closing, epoch = self.clock.expected(job.estimate).prediction, self.clock.epoch(job.estimate)
        return Deadline(self._budget.ends, closing, self._budget.now, epoch or math.inf)

    def taught_by(self, job: Job, observer: Observer) -> Observer:
        """An observer of `job` that tells the clock of each epoch before it tells `observer`."""

        def on_epoch(row: dict[str, float]) -> None:
            self.clock.learn_epoch(job.estimate, int(row["epoch"]), row["seconds"])
            observer.on_epoch(row)

        return replace(observer, on_epoch=on_epoch)

    def finish(self, job: Job, result: Mapping[str, Any], seconds: float) -> None:
        """`job` is done after `seconds` in this session; `result` is the content of its done.json."""
        training, prediction = result["train_seconds"], result["prediction_seconds"]  # of all sessions
        self._running.remove(job)
        self._finished.append(job)
        self.clock.finish(max(training, seconds - prediction), prediction, job.estimate)

    def pause(self, job: Job) -> None:
        """`job` stopped at an epoch's end, its state saved; it is not taken again in this session."""
        self._running.remove(job)
        self.clock.pause(job.estimate)
        self._epochs[job.estimate] = self._learn(job)

    def fail(self, job: Job, error: Exception) -> None:
        """`job` failed: no further task of its experiment, nor of its students, is taken in this session."""
        self._failures.append(error)
        self._failed_experiments.add(job.experiment.name)
        self.pause(job)

    def may_restart(self, job: Job) -> bool:
        """Whether there is time to go on with `job`, whose process died, from its last saved epoch."""
        self._epochs[job.estimate] = self._learn(job)
        return self._fits(job) or self._epoch_fits(job)

    def patience(self) -> float | None:
        """Seconds for which what runs may still be waited for; None: as long as it takes."""
        if self._budget is None:
            return None
        closing = [self.clock.expected(job.estimate).prediction for job in self._running]
        return max(self._budget.left() + max([GRACE, *closing]), 0.0)

    def outcome(self) -> Outcome:
        """What became of the tasks."""
        unfinished = [job for job in self.total if job not in self._finished]
        left = [
            Left(
                job, self._epochs[job.estimate], self.clock.expected(job.estimate).total, self._smallest(job)
            )
            for job in unfinished
        ]
        return Outcome(self._finished, left, self._failures)

    def _ready(self, job: Job) -> bool:
        """Whether all its teachers are finished, and no other estimator runs that has the same patches to describe."""
        if not job.can_be_cut and any(not one.can_be_cut for one in self._running):
            return False
        teachers = job.experiment.teachers
        if self._failed_experiments & {job.experiment.name, *teachers}:
            return False
        unfinished = (other for other in self.total if other not in self._finished)
        return not any(one.fold == job.fold and one.experiment.name in teachers for one in unfinished)

    def _left_of_experiment(self, job: Job) -> list[float]:
        """Seconds left of each unfinished fold of the experiment and of its teachers, those that are running too."""
        names = {job.experiment.name, *job.experiment.teachers}
        unfinished = [one for one in self.total if one not in self._finished]
        return [self.clock.remaining(one.estimate) for one in unfinished if one.experiment.name in names]

    def _completes(self, job: Job) -> bool:
        """Whether it fits, and all that is left of its experiment too."""
        if self._budget is None or not self._fits(job):
            return False
        longest_first = sorted(self._left_of_experiment(job), reverse=True)
        return fit_together(longest_first, self._budget.left(), self._lanes)

    def _goes_on(self, job: Job) -> bool:
        return self._epochs[job.estimate] > 0 and self._epoch_fits(job)

    def _fits(self, job: Job) -> bool:
        return self._budget is None or self.clock.expected(job.estimate).total <= self._budget.left()

    def _never_fits(self, job: Job) -> bool:
        """Whether it is too long for any session, and can be begun in this one."""
        if self._budget is None:
            return False
        too_long = self.clock.expected(job.estimate).total > self._budget.session_seconds
        return too_long and job.can_be_cut and self._epoch_fits(job)

    def _epoch_fits(self, job: Job) -> bool:
        return self._budget is not None and self._smallest(job) <= self._budget.left()

    def _smallest(self, job: Job) -> float:
        """The smallest piece of `job` that brings it on: all of it, or one epoch."""
        task = job.estimate
        whole = self.clock.expected(task).total
        if not job.can_be_cut or self._epochs[job.estimate] >= task.epochs:
            return whole
        return min(whole, task.start + self.clock.epoch(task))

    def _learn(self, job: Job) -> int:
        """Epochs of `job` that a saved state has behind it; what it took so far is told to the clock."""
        return learn_folder(self.clock, job.estimate, job.tasks_folder, self._device)
