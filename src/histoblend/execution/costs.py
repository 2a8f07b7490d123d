"""What a task will cost, from arithmetic before anything ran; `clock` corrects it by measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass

from histoblend.config_experiment import Experiment

BACKWARD = 3  # a training step costs about three forward passes
VALUE_BYTES = {"float32": 4, "mixed_bfloat16": 2, "mixed_float16": 2}
# Peak memory of a training step in units of its layers' outputs: .70-1.09 measured on CPU (small_vgg and
# small_resnet, batches of 64 to 256, float32 and bfloat16).
ACTIVATION_COPIES = 1.2


@dataclass(frozen=True)
class Rates:
    """What a device sustains over a whole training; infinite where it is no part of the estimate."""

    macs: float
    """Multiply-accumulates per second of dense convolutions: per thread of a CPU, per card."""
    grouped_macs: float
    """The same of depthwise and grouped convolutions, which do not reach a card's tensor cores."""
    bytes: float
    """Bytes per second to and from memory; each layer's output is written once and read once."""
    start_seconds: float
    """Build, trace, compile, first step."""


# The CPU's is the small networks' rate measured on two cores of an AMD EPYC (Zen 5), memory included. The card's
# is ASSUMED for a T4 in float16, not measured: ResNet50 at 224 pixels comes to 529 images/s forward and 176 in
# training, four tenths of what NVIDIA publishes for it: 1,190 images/s forward on a T4 (PyTorch, batch 128), and
# 440 in training if training and forward relate as on a V100 (1,200 and 3,249).
# github.com/NVIDIA/DeepLearningExamples, PyTorch/Classification/ConvNets/resnet50v1.5/README.md
RATES = {
    "cpu": Rates(macs=60e9, grouped_macs=60e9, bytes=math.inf, start_seconds=8.0),
    "gpu": Rates(macs=6e12, grouped_macs=0.1e12, bytes=120e9, start_seconds=240.0),
}
STORED_BYTES = 2  # of a layer's output value on a card, in mixed precision
TEXTURE_PATCHES_PER_SECOND = 150.0  # per thread, of computing statistics
TEXTURE_FITTED_PER_SECOND = 4000.0  # training patches per thread, of fitting the trees


@dataclass(frozen=True)
class NetworkCost:
    """What one patch costs in one forward pass; all zero for an estimator on statistics."""

    macs: int = 0
    """Multiply-accumulates."""
    grouped_macs: int = 0
    """Those of them in depthwise and grouped convolutions."""
    parameters: int = 0
    activations: int = 0
    """Values that all layers put out together."""

    def seconds(self, device_kind: str, threads: int) -> float:
        """Estimated seconds of one forward pass of one patch, at assumed rates."""
        rates, lanes = RATES[device_kind], threads if device_kind == "cpu" else 1
        computing = (self.macs - self.grouped_macs) / rates.macs + self.grouped_macs / rates.grouped_macs
        return computing / lanes + 2 * STORED_BYTES * self.activations / rates.bytes


@dataclass(frozen=True)
class Work:
    """How much one task of an experiment has to compute."""

    network: NetworkCost
    batch_size: int
    training_patches: int
    """Patches through the network in training, all epochs together; patches fitted on, for an estimator."""
    predicted_patches: int
    """Patches through the network at prediction, all views together; patches described, for an estimator."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass of one patch; 0 for an estimator on statistics."""
        return self.network.macs

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        return self.network.parameters

    def seconds(self, device_kind: str, threads: int) -> float:
        """Estimated seconds of one task, at assumed rates."""
        return self.training_seconds(device_kind, threads) + self.prediction_seconds(device_kind, threads)

    def training_seconds(self, device_kind: str, threads: int) -> float:
        """Those of them until it can predict; an estimator describes all its patches before that."""
        if not self.macs:
            fitting = self.training_patches / TEXTURE_FITTED_PER_SECOND / threads
            return self.describing_seconds(threads) + fitting
        passes = BACKWARD * self.training_patches
        return self.start_seconds(device_kind) + passes * self.network.seconds(device_kind, threads)

    def describing_seconds(self, threads: int) -> float:
        """Those of them in which an estimator describes patches: its share of what the first of its folds does."""
        return 0.0 if self.macs else self.predicted_patches / TEXTURE_PATCHES_PER_SECOND / threads

    def prediction_seconds(self, device_kind: str, threads: int) -> float:
        """Those of them in which it predicts."""
        return self.predicted_patches * self.network.seconds(device_kind, threads) if self.macs else 0.0

    def start_seconds(self, device_kind: str) -> float:
        """Those of them until the first step, anew in each session."""
        return RATES[device_kind].start_seconds if self.macs else 0.0

    def activation_bytes(self, precision: str) -> float:
        """Bytes that a training step of one batch keeps for the backward pass, temporaries included."""
        return self.network.activations * self.batch_size * VALUE_BYTES[precision] * ACTIVATION_COPIES


def task_work(
    experiment: Experiment, network: NetworkCost, patches: tuple[int, int, int], views: int
) -> Work:
    """The work of one task.

    An estimator's statistics are computed once for all folds: each bears its share.

    Args:
        patches: in the training folds, in the held-out fold, in test.
    """
    training, held_out, test = patches
    settings = experiment.training
    if not network.macs:
        described = (training + held_out + test) * held_out // max(training + held_out, 1)
        return Work(network, settings.batch_size, training, described)
    if settings.pseudo_labels is not None:
        training += test  # at most: how sure the teachers will be is not known yet
    steps = -(-(settings.samples_per_epoch or training) // settings.batch_size)
    seen = steps * settings.batch_size * settings.epochs
    return Work(network, settings.batch_size, seen, (held_out + test) * views)
