"""How fast a network trains and predicts on this machine, measured on the real training and the real prediction."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from histoblend.training.observer import Observer
from histoblend.training.task import Task, TaskInputs
from histoblend.workspace import TaskFolder

WARM_STEPS = 3  # the first ones trace the graph and fill the feed
ENDLESS_STEPS = 100_000  # one epoch that no measurement sees the end of


class MeasuredRate(Exception):
    """Ends a training whose rate is known; not an error."""

    def __init__(self, images_per_second: float) -> None:
        super().__init__(f"{images_per_second:.1f} images/s")
        self.images_per_second = images_per_second


@dataclass
class Stopwatch:
    """Told about the steps of a training; raises `MeasuredRate` once `seconds` of warm ones are over."""

    seconds: float
    batch_size: int
    clock: Callable[[], float] = time.monotonic
    _begun: tuple[int, float] | None = field(default=None)

    def on_step(self, epoch: int, step: int, loss: float) -> None:
        """`step` steps are done: as `Observer.on_step`."""
        now = self.clock()
        if self._begun is None:
            self._begun = (step, now) if step >= WARM_STEPS else None
            return
        first, started = self._begun
        if now - started >= self.seconds:
            raise MeasuredRate((step - first) * self.batch_size / (now - started))


def training_rate(task: Task, inputs: TaskInputs, seconds: float) -> float:
    """Images per second of the task's training step, its feed and augmentation included.

    The training is the pipeline's own, in a folder that is thrown away, ended by its observer.
    """
    from histoblend.training.network_task import train_network

    batch = task.experiment.training.batch_size
    endless = {"epochs": 1, "samples_per_epoch": batch * ENDLESS_STEPS}
    training = task.experiment.training.model_copy(update=endless)
    experiment = task.experiment.model_copy(update={"training": training})
    watch = Stopwatch(seconds, batch)
    with tempfile.TemporaryDirectory(prefix="histoblend-speed-") as folder:
        measured = replace(task, experiment=experiment, folder=TaskFolder(Path(folder)))
        try:
            train_network(measured, inputs, (0,), Observer(on_step=watch.on_step))
        except MeasuredRate as rate:
            return rate.images_per_second
    raise RuntimeError(f"{ENDLESS_STEPS} steps took less than {seconds} s")


def prediction_rate(task: Task, inputs: TaskInputs, seconds: float) -> float:
    """Images per second of the task's network as the pipeline predicts with it, one view each, in its batches."""
    from histoblend.inference.predict import network_logits
    from histoblend.models.dihedral_fold import folded_model
    from histoblend.training.fit import PREDICTION_BATCH, build_model

    problem = task.experiment.problem(inputs.pack.side, len(inputs.classes))
    logits = network_logits(folded_model(build_model(task.experiment, task.precision, problem)))
    images = inputs.pack.train_images()
    batch = np.asarray(images[:PREDICTION_BATCH])
    for _ in range(2):
        logits(batch)
    return _rate(lambda: logits(batch), len(batch), seconds)


def _rate(work: Callable[[], object], images: int, seconds: float) -> float:
    started, done = time.monotonic(), 0
    while True:
        work()
        done += images
        if (passed := time.monotonic() - started) >= seconds:
            return done / passed
