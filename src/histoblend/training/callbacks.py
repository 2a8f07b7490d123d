"""What happens between epochs: the exact inner-split AUC, the plateau, the saved state, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from histoblend.training.deadline import Pace
from histoblend.training.selection import is_new_best
from histoblend.training.state import TaskState, assign_values, save_state, values_of

History = list[dict[str, float]]


def inner_aucs(history: History) -> list[float]:
    """The inner-split AUC of each epoch."""
    return [row["inner_auc"] for row in history]


@dataclass
class EpochRecord:
    """The history so far, the best weights and the mean of the last ones, shared by the callbacks of one task."""

    history: History
    best: list[np.ndarray]
    average: list[np.ndarray] = field(default_factory=list)


class Bookkeeping(keras.callbacks.Callback):
    """Appends a row to the history at every epoch's end: loss, accuracy, learning rate, seconds, images/s."""

    def __init__(self, record: EpochRecord, images_per_epoch: int) -> None:
        super().__init__()
        self.record, self.images_per_epoch = record, images_per_epoch
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = time.monotonic() - self._started
        values = {name: float(value) for name, value in (logs or {}).items()}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        values |= {"learning_rate": rate, "seconds": seconds}
        values["images_per_second"] = self.images_per_epoch / seconds
        self.record.history.append({"epoch": epoch + 1, **values})


class AverageWeights(keras.callbacks.Callback):
    """Keeps the plain mean of the weights at the ends of the epochs from `first` (from 0) on."""

    def __init__(self, record: EpochRecord, weights: Sequence[keras.Variable], first: int) -> None:
        super().__init__()
        self.record, self.weights, self.first = record, list(weights), first

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        count = epoch - self.first + 1
        if count < 1:
            return
        values = values_of(self.weights)
        before = self.record.average or values
        self.record.average = [old + (new - old) / count for old, new in zip(before, values, strict=True)]


class InnerSplit(keras.callbacks.Callback):
    """Scores the weights as they would be kept on the inner split, remembers the best, stops when told to.

    Args:
        score: exact AUC on the inner split of the model as it stands.
        finish: turns the raw weights into those that would be kept (moving average, statistics).
        stop: whether the training ends with this history.
    """

    def __init__(
        self,
        record: EpochRecord,
        finish: Callable[[], None],
        score: Callable[[], float],
        keep_best: bool,
        stop: Callable[[History], bool],
    ) -> None:
        super().__init__()
        self.record, self.finish, self.score = record, finish, score
        self.keep_best, self.stop = keep_best, stop

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        raw = values_of(self.model.variables)
        self.finish()
        self.record.history[-1]["inner_auc"] = self.score()
        if logs is not None:
            logs["inner_auc"] = self.record.history[-1]["inner_auc"]  # for TensorBoard, called after this
        if self.keep_best and is_new_best(inner_aucs(self.record.history)):
            self.record.best = values_of(self.model.variables)
        assign_values(self.model.variables, raw)
        if self.stop(self.record.history):
            self.model.stop_training = True


class RateByEpoch(keras.callbacks.Callback):
    """Sets the learning rate at every epoch's begin from (epoch, history)."""

    def __init__(self, record: EpochRecord, rate: Callable[[int, History], float]) -> None:
        super().__init__()
        self.record, self.rate = record, rate

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.optimizer.learning_rate = self.rate(epoch, self.record.history)


class SaveState(keras.callbacks.Callback):
    """Writes the task's state at every epoch's end; the last of the callbacks that change anything."""

    def __init__(self, path: Path, fingerprint: str, record: EpochRecord, device: str = "") -> None:
        super().__init__()
        self.path, self.fingerprint, self.record, self.device = path, fingerprint, record, device

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        state = TaskState(
            self.fingerprint,
            self.record.history,
            values_of(self.model.variables),
            values_of(self.model.optimizer.variables),
            self.record.best,
            self.record.average,
            self.device,
        )
        save_state(self.path, state)


class StopInTime(keras.callbacks.Callback):
    """Ends the training at an epoch's end when another one would not end in time; behind `SaveState`."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self.pace = pace

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.pace.epoch_begins()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.pace.epoch_ends()
        if not self.pace.allows_epoch():
            self.model.stop_training = True


REFRESH_SECONDS = 0.5


class StepProgress(keras.callbacks.Callback):
    """Tells an observer about steps and epochs; reads the loss off the device only now and then."""

    def __init__(
        self,
        record: EpochRecord,
        on_step: Callable[[int, int, float], None],
        on_epoch: Callable[[dict[str, float]], None],
    ) -> None:
        super().__init__()
        self.record, self.on_step, self.on_epoch = record, on_step, on_epoch
        self._epoch = 0
        self._told = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if time.monotonic() - self._told < REFRESH_SECONDS:
            return
        self._told = time.monotonic()
        self.on_step(self._epoch, batch + 1, float((logs or {}).get("loss", np.nan)))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_epoch(self.record.history[-1])
