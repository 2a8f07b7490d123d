"""The loss and the accuracy of a training, for one logit or one a class; targets may lie between classes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from histoblend.models.problem import Problem


def training_loss(problem: Problem, smoothing: float) -> keras.losses.Loss:
    """Cross-entropy from logits."""
    if problem.outputs == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


def training_accuracy(problem: Problem) -> keras.metrics.Metric:
    """Share of patches whose most probable class is their target's."""
    if problem.outputs == 1:
        return keras.metrics.MeanMetricWrapper(_same_side, name="accuracy")
    return keras.metrics.CategoricalAccuracy(name="accuracy")


def _same_side(targets: Any, logits: Any) -> Any:
    # Keras's own compares the target itself with 0 or 1: never equal where patches are blended.
    same = ops.equal(ops.greater(targets, 0.5), ops.greater(logits, 0.0))
    return ops.mean(ops.cast(same, "float32"), axis=-1)
