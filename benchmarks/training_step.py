"""Where does the time of a training step go? Ratios to the bare step, measured in turn so that a busy machine hits all.

    python benchmarks/training_step.py mini_vgg                  the experiment's network, batch and augmentation
    python benchmarks/training_step.py mini_resnet --steps 20 --rounds 7

The bare step is the compiled function on one batch that lies on the device already: nothing of Python, of the feed,
of callbacks. Beside it: `fit` with that batch from memory (Keras's loop, copies to the device, callbacks); `fit` with
the real feed; the step without the accuracy metric; the step with Keras's own batch normalisation; the feed alone.

Measured on mini_vgg, batch 32, bfloat16, 2 threads of an AMD EPYC (Zen 5) that others were using too, 2026-11-21, one
run; ratios to the bare step, their range over the rounds in brackets:

    fit, batch from memory              1.06  ( .97 to 1.15)
    fit, real feed                      1.07  (1.03 to 1.20)
    bare step without accuracy           .96  ( .91 to 1.06)
    bare step, Keras's normalisation    1.83  (1.71 to 2.79)
    feed alone                           .03

So on a CPU the fused normalisation is what counts, and nothing of Python, of the feed or of the metric was worth
removing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from histoblend.config import Execution
from histoblend.config_files import load_experiment
from histoblend.data.augmentations import resolve_augmentation
from histoblend.data.batches import Batch, Sampling, TrainingFeed
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.training_rows import TrainingRows
from histoblend.execution.device import Device, prepare_device

CONFIGS = Path(__file__).parents[1] / "configs"
PATCHES = 2048


def main() -> None:
    """Print the ratios."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", nargs="?", default="mini_vgg")
    parser.add_argument("--steps", type=int, default=8, help="of each contender in each round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    device = prepare_device(Execution())
    with tempfile.TemporaryDirectory() as folder:
        contenders = _contenders(arguments.experiment, device, Path(folder))
        seconds = _measured(contenders, arguments.steps, arguments.rounds)
    print(f"{arguments.experiment} on {device.name}, {device.precision}, {device.threads} threads")
    print(f"{'':34} {'ms a step':>10} {'ratio to the bare step':>24}")
    for name, times in seconds.items():
        ratios = sorted(one / bare for one, bare in zip(times, seconds["bare step"], strict=True))
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"{name:34} {1e3 * median(times):10.1f} {median(ratios):9.3f}  ({spread})")


def _measured(
    contenders: dict[str, Callable[[int], float]], steps: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds a step, one value a round; all contenders take part in every round."""
    for run in contenders.values():
        run(2)  # tracing, allocation
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            seconds[name].append(run(steps) / steps)
    return seconds


def _contenders(name: str, device: Device, folder: Path) -> dict[str, Callable[[int], float]]:
    import keras

    from histoblend.models import layers

    job = _job(name, device, folder)
    batch = job.feed.batch(0)
    images, targets = batch.images, batch.targets
    plain, without = _compiled(job), _compiled(job, metrics=False)
    fused = layers.NORMALISATIONS["batch"]
    layers.NORMALISATIONS["batch"] = lambda width: [keras.layers.BatchNormalization(momentum=0.9)]
    unfused = _compiled(job)
    layers.NORMALISATIONS["batch"] = fused
    return {
        "bare step": _bare(plain, images, targets),
        "fit, batch from memory": _fitted(plain, job, _Repeated(batch)),
        "fit, real feed": _fitted(plain, job, job.feed),
        "bare step without accuracy": _bare(without, images, targets),
        "bare step, Keras's normalisation": _bare(unfused, images, targets),
        "feed alone": _fed(job.feed),
    }


def _job(name: str, device: Device, folder: Path) -> Any:
    from histoblend.training.fit import FitJob

    experiment = load_experiment(name, CONFIGS)
    generator = np.random.default_rng(0)
    np.save(folder / "train.npy", generator.integers(0, 256, (PATCHES, 96, 96, 3), dtype=np.uint8))
    labels = generator.integers(0, 2, PATCHES).astype(np.int8)
    rows = TrainingRows(str(folder / "train.npy"), np.arange(PATCHES), labels)
    feed = TrainingFeed(
        rows,
        Sampling(0, experiment.training.batch_size),
        resolve_augmentation(experiment.augmentation),
        FeedWorkers(device.workers),
    )
    return FitJob(
        experiment, feed, "", device.precision, folder / "state", jit_compile=device.jit_compile,
        problem=experiment.problem(96, 2),
    )  # fmt: skip


def _compiled(job: Any, *, metrics: bool = True) -> Any:
    import keras

    from histoblend.models.outputs import logit_model
    from histoblend.models.registry import build_network
    from histoblend.training.fit import compile_model

    keras.utils.set_random_seed(job.experiment.seed)
    keras.config.set_dtype_policy(job.precision)
    network = job.experiment.network
    model = logit_model(build_network(network.name, network.parameters, job.problem, pretrained=False))
    compile_model(model, job)
    if not metrics:
        model.compile(model.optimizer, model.loss, jit_compile=job.jit_compile)
    return model


def _bare(model: Any, images: np.ndarray, targets: np.ndarray) -> Callable[[int], float]:
    """TensorFlow only: other backends have no compiled function that takes an iterator."""
    import tensorflow as tf

    batch = (tf.constant(images), tf.constant(targets))
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def run(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            logs = model.train_function(batches)
        float(logs["loss"])  # whatever was queued is done
        return time.perf_counter() - started

    return run


class _Repeated:
    """A feed that costs nothing."""

    def __init__(self, repeated: Batch) -> None:
        self.repeated = repeated

    def batch(self, step: int) -> Batch:
        return self.repeated


def _fitted(model: Any, job: Any, feed: Any) -> Callable[[int], float]:
    """`fit` as a task calls it, with the callbacks that act at every step; the seconds of its epoch."""
    from histoblend.training import callbacks as between
    from histoblend.training.feed import KerasFeed

    def run(steps: int) -> float:
        record = between.EpochRecord([], [])
        chosen = [
            between.Bookkeeping(record, steps * job.feed.sampling.batch_size),
            between.StepProgress(record, job.observer.on_step, job.observer.on_epoch),
        ]
        model.fit(KerasFeed(feed, 0, None), steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=chosen)
        return record.history[-1]["seconds"]

    return run


def _fed(feed: TrainingFeed) -> Callable[[int], float]:
    def run(steps: int) -> float:
        started = time.perf_counter()
        for step in range(steps):
            feed.batch(step)
        return time.perf_counter() - started

    return run


if __name__ == "__main__":
    main()
