"""Layers shared by the networks: the uint8 input stage, normalisation, convolution blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from histoblend.errors import ConfigRefusal
from histoblend.models.problem import Problem

SMALLEST_EPSILON = 1.001e-5  # TensorFlow raises a smaller one to this, silently


@keras.saving.register_keras_serializable(package="histoblend")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation, computed by TensorFlow's fused kernel where that is the backend.

    Only `call` differs: names, weights, configuration and the rule that a frozen layer runs in inference
    mode are Keras's. Input (n, h, w, c); other shapes, masks, renorm, synchronised statistics and an epsilon that the
    kernel would raise go to Keras.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not self._fusable(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        return self._fused_tensorflow(inputs, bool(training and self.trainable))

    def _fusable(self, inputs: Any, mask: Any) -> bool:
        rank = len(inputs.shape)
        renormalised = getattr(self, "renorm", False)  # Keras 3.13 has no such option
        plain = (
            mask is None and not renormalised and not self.synchronized and self.epsilon >= SMALLEST_EPSILON
        )
        channels_last = rank == 4 and self.axis in (-1, 3)
        supported = keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        return keras.config.backend() == "tensorflow" and plain and channels_last and supported

    def _fused_tensorflow(self, inputs: Any, batch_statistics: bool) -> Any:
        """The only TensorFlow code of the models; every other backend takes Keras's own `call`."""
        import tensorflow as tf

        channels = (inputs.shape[-1],)
        arguments: dict[str, Any] = {
            "scale": ops.cast(self.gamma, "float32") if self.scale else ops.ones(channels, "float32"),
            "offset": ops.cast(self.beta, "float32") if self.center else ops.zeros(channels, "float32"),
            "epsilon": self.epsilon,
        }
        if not batch_statistics:
            mean, variance = ops.cast(self.moving_mean, "float32"), ops.cast(self.moving_variance, "float32")
            arguments |= {"mean": mean, "variance": variance}
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, is_training=batch_statistics, **arguments
        )
        if batch_statistics:
            self._move_statistics(inputs, mean, variance)
        return ops.cast(outputs, self.compute_dtype)

    def _move_statistics(self, inputs: Any, mean: Any, variance: Any) -> None:
        # The kernel returns the Bessel-corrected variance; Keras's moving average holds the biased one.
        count = ops.cast(ops.prod(ops.shape(inputs)[:-1]), "float32")
        biased = variance * (count - 1.0) / count
        keep, take = self.momentum, 1.0 - self.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * take)
        self.moving_variance.assign(self.moving_variance * keep + biased * take)


def _group(width: int) -> keras.layers.Layer:
    return keras.layers.GroupNormalization(groups=math.gcd(width, 8))


# Momentum .9, not Keras's .99: small sets make few steps an epoch, and statistics must keep up with weights.
NORMALISATIONS: dict[str, Callable[[int], list[keras.layers.Layer]]] = {
    "batch": lambda width: [BatchNormalization(momentum=0.9)],
    "group": lambda width: [_group(width)],
    "layer": lambda width: [keras.layers.LayerNormalization(epsilon=1e-3)],
    "none": lambda width: [],
}


def patch_input(problem: Problem) -> Any:
    """The input of every network: uint8 RGB (side, side, 3)."""
    return keras.Input((problem.side, problem.side, 3), dtype="uint8", name="patch")


def entrance(problem: Problem, crop: int | None) -> list[keras.layers.Layer]:
    """Layers from uint8 (side, side, 3) to float32 0-255 (input_size, input_size, 3), not yet normalised.

    `crop` keeps the centre square of that side before resizing; the labelled centre stays in its middle.

    Raises:
        ConfigRefusal: the crop is larger than the patch, or smaller than its labelled centre.
    """
    stack: list[keras.layers.Layer] = [keras.layers.Rescaling(1.0, dtype="float32", name="pixels")]
    input_size, side = problem.input_size, crop or problem.side
    labelled = problem.field(crop).labelled
    if not labelled <= side <= problem.side:
        raise ConfigRefusal(
            f"network.crop is {side}; the patches are {problem.side} pixels wide, their labelled centre {labelled}.",
            f"a crop from {labelled} to {problem.side}",
            "change network.crop, or leave it out.",
        )
    if side != problem.side:
        stack.append(keras.layers.CenterCrop(side, side, dtype="float32", name="centre_crop"))
    if input_size != side:
        # Antialiasing matters only when shrinking, and XLA has no code for it.
        shrinks = input_size < side
        resize = keras.layers.Resizing(
            input_size, input_size, antialias=shrinks, dtype="float32", name="resize"
        )
        stack.append(resize)
    return stack


def unit_range() -> keras.layers.Layer:
    """0-255 -> -1..1, in float32: the one normalisation of the networks trained from scratch."""
    return keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, dtype="float32", name="normalise")


def chained(features: Any, stack: list[keras.layers.Layer]) -> Any:
    """Apply layers one after the other."""
    for layer in stack:
        features = layer(features)
    return features


def convolution(
    features: Any, filters: int, normalisation: str, activation: str | None, *, kernel: int = 3
) -> Any:
    """Convolution, normalisation, activation; the bias is left out where a normalisation shifts anyway."""
    convolve = keras.layers.Conv2D(
        filters,
        kernel,
        padding="same",
        use_bias=normalisation == "none",
        kernel_initializer="he_normal",
    )
    features = chained(features, [convolve, *NORMALISATIONS[normalisation](filters)])
    return keras.layers.Activation(activation)(features) if activation else features
