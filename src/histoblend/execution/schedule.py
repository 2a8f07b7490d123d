"""Which task comes next, and whether it fits: asked by every executor, whether tasks run one by one or side by side."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from histoblend.execution.clock import Clock, Seconds
from histoblend.execution.jobs import Job
from histoblend.execution.session_budget import Left, Outcome, SessionBudget
from histoblend.training.deadline import Deadline
from histoblend.training.state_about import saved_epochs
from histoblend.workspace import read_json


class Schedule:
    """The tasks of a session: those waiting, running, finished and paused.

    Without a budget they run in the order they came in. With one, a task begun in an earlier session comes first,
    then folds of experiments that have finished ones, since only complete experiments are blended. What does not fit
    is not started, and a later task that fits is. Two kinds may be cut at an epoch's end, if one epoch fits: tasks
    begun already, and those that are too long for a whole session, which would never be made else. A student waits for
    its teachers, and an estimator for another one: the patches are described once, for all.

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
        self._device, self._budget = device, budget
        self._waiting = list(self.total)
        self._running: list[Job] = []
        self._finished: list[Job] = []
        self._epochs = {job.estimate: self._learn_state(job) for job in self.total}
        self._started_experiments: set[str] = set()
        for job in jobs:
            self._learn_folds(job)

    def take(self) -> Job | None:
        """The next task to start; None where none may be started now: ask again when one of the running ones ends."""
        ready = [job for job in self._waiting if self._ready(job)]
        if self._budget is not None:
            ready = sorted(ready, key=self._rank)
        tests = (self._goes_on, self._fits, self._never_fits)
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
        return Deadline(self._budget.ends, self.clock.expected(job.estimate).prediction, self._budget.now)

    def finish(self, job: Job, result: Mapping[str, Any], seconds: float) -> None:
        """`job` is done after `seconds` in this session; `result` is the content of its done.json."""
        training, prediction = result["train_seconds"], result["prediction_seconds"]  # of all sessions
        self._running.remove(job)
        self._finished.append(job)
        self._started_experiments.add(job.experiment.name)
        self.clock.finish(max(training, seconds - prediction), prediction, job.estimate)

    def pause(self, job: Job) -> None:
        """`job` stopped at an epoch's end, its state saved; it is not taken again in this session."""
        self._running.remove(job)
        self.clock.pause(job.estimate)
        self._epochs[job.estimate] = self._learn_state(job)

    def outcome(self) -> Outcome:
        """What became of the tasks."""
        unfinished = [job for job in self.total if job not in self._finished]
        left = [
            Left(job, self._epochs[job.estimate], self.clock.expected(job.estimate).total)
            for job in unfinished
        ]
        smallest = min((self._smallest(job) for job in unfinished if self._ready(job)), default=0.0)
        return Outcome(self._finished, left, smallest)

    def _ready(self, job: Job) -> bool:
        """Whether all its teachers are finished, and no other estimator runs that has the same patches to describe."""
        if not job.can_be_cut and any(not one.can_be_cut for one in self._running):
            return False
        teachers = job.experiment.teachers
        unfinished = (other for other in self.total if other not in self._finished)
        return not any(one.fold == job.fold and one.experiment.name in teachers for one in unfinished)

    def _rank(self, job: Job) -> bool:
        return job.experiment.name not in self._started_experiments

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

    def _learn_state(self, job: Job) -> int:
        """Epochs that a saved state of `job` has behind it; what they took is told to the clock."""
        saved = saved_epochs(job.tasks_folder.state) if job.tasks_folder.state.exists() else None
        if saved is None:
            return 0
        history, device = saved
        if history and device == self._device:
            epochs = [row["seconds"] for row in history]  # the first of a session is longer: it compiles
            self.clock.learn_epochs(job.estimate, len(history), statistics.median(epochs))
        return len(history)

    def _learn_folds(self, job: Job) -> None:
        """Tell the clock what a finished task took, if it ran on this device."""
        if not job.tasks_folder.done.exists():
            return
        self._started_experiments.add(job.experiment.name)
        done = read_json(job.tasks_folder.done)
        if done.get("device", self._device) == self._device:
            self.clock.learn(job.estimate, Seconds(done["train_seconds"], done["prediction_seconds"]))
