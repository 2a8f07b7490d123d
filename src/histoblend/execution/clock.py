"""Time left: what tasks are thought to take, corrected by all that has been measured of them and their like."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FIRST = 4  # times as long as another one is a first epoch at most


@dataclass(frozen=True)
class Estimate:
    """Seconds that a task is thought to take, by arithmetic."""

    experiment: str
    kind: str
    """What kind of work it is: a measured task corrects the estimates of its own kind only."""
    training: float
    """Of all its epochs, `start` included."""
    prediction: float = 0.0
    start: float = 0.0
    """Of building and tracing the network, anew in each session; 0 for an estimator."""
    epochs: int = 1
    fold: int = 0


@dataclass(frozen=True)
class Seconds:
    """What a task took, or what is still to be done of it takes."""

    training: float
    prediction: float = 0.0

    @property
    def total(self) -> float:
        """Both."""
        return self.training + self.prediction


class Clock:
    """Time left, from estimates that measurement corrects.

    The nearest witness counts: a task's own epochs, else the other folds of its experiment (finished ones, else those
    begun), else how far other tasks of its kind were from their estimates, which follow from MACs.

    Args:
        tasks: those to be done, in order.
        lanes: how many run at the same time.
    """

    def __init__(self, tasks: Sequence[Estimate], lanes: int = 1) -> None:
        self._waiting, self._lanes = list(tasks), lanes
        self._whole: list[
            tuple[Estimate, Seconds]
        ] = []  # finished tasks, of this session and of earlier ones
        self._begun: dict[Estimate, tuple[int, list[float]]] = {}  # epochs behind them, and what they took
        self._shares: dict[Estimate, float] = {}  # of the epochs behind us, of tasks that are running

    def learn(self, task: Estimate, seconds: Seconds) -> None:
        """`task`, which need not be one of those to be done, took that long as a whole."""
        self._whole.append((task, seconds))

    def learn_epochs(self, task: Estimate, seconds: Sequence[float]) -> None:
        """The epochs of `task` that are behind us took that long, in order; at least one."""
        self._begun[task] = (len(seconds), list(seconds))

    def learn_epoch(self, task: Estimate, number: int, seconds: float) -> None:
        """Epoch `number`, counted from 1, of `task`, which is running, took that long."""
        self._begun[task] = (number, [*self._begun.get(task, (0, []))[1], seconds])

    def start(self, task: Estimate) -> None:
        """`task` comes first now."""
        self._waiting.remove(task)
        self._waiting.insert(0, task)

    def reached(self, task: Estimate, share: float) -> None:
        """That share of the epochs of `task`, which is running, is behind us."""
        self._shares[task] = share

    def finish(self, training: float, prediction: float = 0.0, task: Estimate | None = None) -> None:
        """`task` (None: the first one waiting) is finished and took that long as a whole."""
        task = self._waiting[0] if task is None else task
        self._waiting.remove(task)
        self._shares.pop(task, None)
        self.learn(task, Seconds(training, prediction))

    def pause(self, task: Estimate) -> None:
        """`task` runs no more and is not finished; it comes last now."""
        self._shares.pop(task, None)
        self._waiting.remove(task)
        self._waiting.append(task)

    def expected(self, task: Estimate) -> Seconds:
        """What is left to be done of `task`."""
        training = self._training(task)
        if task in self._begun:
            done, epochs = self._begun[task]
            training = task.start + (task.epochs - done) * usual_epoch(epochs, task.start)
        return Seconds(training, self._prediction(task))

    def remaining(self, task: Estimate) -> float:
        """Seconds left of `task`, which may be running."""
        return self._unfinished(task, self._shares)

    def whole(self, task: Estimate) -> float:
        """Seconds of all of `task`, whatever of it is behind us."""
        return self._training(task) + self._prediction(task)

    def epoch(self, task: Estimate) -> float:
        """One epoch of `task`."""
        return max(self._training(task) - task.start, 0.0) / task.epochs

    def left(self, share_done: float = 0.0) -> float:
        """Seconds until all tasks are finished, `share_done` of the first one's epochs being behind us."""
        shares = dict(self._shares)
        if share_done and self._waiting:
            shares[self._waiting[0]] = share_done
        each = [self._unfinished(task, shares) for task in self._waiting]
        return max(sum(each) / self._lanes, max(each, default=0.0))

    def _unfinished(self, task: Estimate, shares: Mapping[Estimate, float]) -> float:
        if task in shares:
            return self._training(task) * (1 - shares[task]) + self._prediction(task)
        return self.expected(task).total

    def _training(self, task: Estimate) -> float:
        """All epochs of `task`, whatever of it is behind us."""
        if task in self._begun:
            return _whole_training(task, self._begun[task])
        whole = [pair for pair in self._whole if pair[0].experiment == task.experiment]
        folds = [(one.training, seconds.training) for one, seconds in whole]
        begun = [one for one in self._begun.items() if one[0].experiment == task.experiment]
        ratio = _ratio(folds or [(one.training, _whole_training(one, how)) for one, how in begun])
        return task.training * (self._training_ratio(task.kind) if ratio is None else ratio)

    def _prediction(self, task: Estimate) -> float:
        folds = [seconds.prediction for other, seconds in self._whole if other.experiment == task.experiment]
        if folds:
            return sum(folds) / len(folds)
        known = [
            (one.prediction, seconds.prediction) for one, seconds in self._whole if one.kind == task.kind
        ]
        ratio = _ratio(known)
        return task.prediction * (self._training_ratio(task.kind) if ratio is None else ratio)

    def _training_ratio(self, kind: str) -> float:
        known = [(one.training, seconds.training) for one, seconds in self._whole if one.kind == kind]
        known += [
            (one.training, _whole_training(one, how)) for one, how in self._begun.items() if one.kind == kind
        ]
        ratio = _ratio(known)
        return 1.0 if ratio is None else ratio


def usual_epoch(seconds: Sequence[float], start: float) -> float:
    """What another epoch takes after epochs of these `seconds`; the first one compiles, in about `start`."""
    if len(seconds) > 1:
        return statistics.median(seconds[1:])
    return max(seconds[0] - start, seconds[0] / FIRST)


def _whole_training(task: Estimate, begun: tuple[int, list[float]]) -> float:
    return task.start + task.epochs * usual_epoch(begun[1], task.start)


def _ratio(known: Sequence[tuple[float, float]]) -> float | None:
    """What was measured to what was estimated; None where nothing was measured."""
    estimated = sum(pair[0] for pair in known)
    return sum(pair[1] for pair in known) / estimated if estimated else None
