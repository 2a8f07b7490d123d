"""What a task will cost, from arithmetic before anything ran and from measurement afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from histoblend.config import Experiment

BACKWARD = 3  # a training step costs about three forward passes
# Multiply-accumulates per second that a whole training reaches, per thread of a CPU and per card. The CPU's is
# the small networks' rate measured on two cores of an AMD EPYC (Zen 5); the card's is assumed for a T4 in mixed
# precision and is replaced by what the first task measures.
MACS_PER_SECOND = {"cpu": 25e9, "gpu": 3e12}
START_SECONDS = {"cpu": 8.0, "gpu": 45.0}  # build, trace, first step
TEXTURE_PATCHES_PER_SECOND = 150.0  # per thread


@dataclass(frozen=True)
class Work:
    """How much one task of an experiment has to compute."""

    macs: int
    """Multiply-accumulates of one forward pass of one patch; 0 for an estimator on statistics."""
    parameters: int
    activation_bytes: int
    """Kept for the backward pass of one batch."""
    training_patches: int
    """Patches through the network in training, all epochs together."""
    predicted_patches: int
    """Patches through the network at prediction, all views together."""

    def seconds(self, device_kind: str, threads: int) -> float:
        """Estimated seconds of one task, at assumed rates."""
        lanes = threads if device_kind == "cpu" else 1
        if not self.macs:
            return self.predicted_patches / (TEXTURE_PATCHES_PER_SECOND * threads)
        passes = BACKWARD * self.training_patches + self.predicted_patches
        return START_SECONDS[device_kind] + passes * self.macs / (MACS_PER_SECOND[device_kind] * lanes)


def task_work(
    experiment: Experiment, network_cost: tuple[int, int, int], patches: tuple[int, int, int], views: int
) -> Work:
    """The work of one task.

    Args:
        network_cost: multiply-accumulates, parameters, activation values of one patch.
        patches: in the training folds, in the held-out fold, in test.
    """
    training, held_out, test = patches
    macs, parameters, activations = network_cost
    settings = experiment.training
    steps = -(-(settings.samples_per_epoch or training) // settings.batch_size)
    value_bytes = 4 if experiment.precision == "float32" else 2
    return Work(
        macs=macs,
        parameters=parameters,
        activation_bytes=activations * settings.batch_size * value_bytes * 2,
        training_patches=steps * settings.batch_size * settings.epochs if macs else 0,
        predicted_patches=(held_out + test) * views if macs else training + held_out + test,
    )


class Clock:
    """Time left, from estimates that measurement corrects as tasks finish."""

    def __init__(self, estimates: Sequence[tuple[str, float]]) -> None:
        self._waiting = list(estimates)  # (experiment, seconds) of the tasks not yet finished, in order
        self._measured: dict[str, list[float]] = {}
        self._ratio = 1.0

    def finish(self, experiment: str, seconds: float) -> None:
        """A task of `experiment`, the first one waiting, took `seconds`."""
        _, estimate = self._waiting.pop(0)
        self._measured.setdefault(experiment, []).append(seconds)
        self._ratio = seconds / max(estimate, 1e-9)

    def expected(self, experiment: str, estimate: float) -> float:
        """Seconds a task of `experiment` will take: as its other folds did, else the corrected estimate."""
        done = self._measured.get(experiment)
        return sum(done) / len(done) if done else estimate * self._ratio

    def next_task(self) -> float:
        """Seconds the next task will take; 0 when there is none."""
        return self.expected(*self._waiting[0]) if self._waiting else 0.0

    def left(self, share_done: float = 0.0) -> float:
        """Seconds until all tasks are finished, `share_done` of the next one being behind us."""
        return sum(self.expected(*task) for task in self._waiting) - share_done * self.next_task()
