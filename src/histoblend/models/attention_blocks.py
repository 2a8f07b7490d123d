"""Attention inside a network's blocks: which channels count (SE), and which channels and places (CBAM).

Both gates are ``2 * sigmoid`` of a branch that starts at zero, so at first they multiply by exactly one: a backbone
with ImageNet weights begins as the network those weights were trained in, and the gates learn from a slope of 1/2.
The published gate, ``sigmoid``, would halve every residual branch at first. Nothing is lost: the normalisation before
the gate can halve its scale, so both forms describe the same functions. Gates are computed in float32 under any policy.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from histoblend.models.layers import SMALLEST_EPSILON, BatchNormalization


@keras.saving.register_keras_serializable(package="histoblend")
class Gate(keras.layers.Layer):
    """``2 * sigmoid`` in float32: 0..2, one where the input is zero."""

    def call(self, inputs: Any) -> Any:
        return 2.0 * ops.sigmoid(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="histoblend")
class ChannelStatistics(keras.layers.Layer):
    """(n, h, w, c) -> mean and maximum over the channels of each cell, (n, h, w, 2)."""

    def call(self, inputs: Any) -> Any:
        mean = ops.mean(inputs, axis=-1, keepdims=True)
        return ops.concatenate([mean, ops.max(inputs, axis=-1, keepdims=True)], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], 2)


def squeeze_excitation(features: Any, prefix: str, ratio: int = 16) -> Any:
    """Weigh channels by what their means say (Hu et al. 2018, arXiv:1709.01507); (n, h, w, c) -> the same shape."""
    reduce, expand = _perceptron(features.shape[-1], ratio, f"{prefix}_se")
    mean = _pool(keras.layers.GlobalAveragePooling2D, features, f"{prefix}_se_mean")
    gate = Gate(dtype="float32", name=f"{prefix}_se_gate")(expand(reduce(mean)))
    return keras.layers.Multiply(name=f"{prefix}_se_scaled")([features, gate])


def cbam(features: Any, prefix: str, ratio: int = 16) -> Any:
    """Weigh channels, then places (Woo et al. 2018, arXiv:1807.06521); (n, h, w, c) -> the same shape."""
    return _places_weighed(_channels_weighed(features, prefix, ratio), prefix)


ATTENTION = {"squeeze_excitation": squeeze_excitation, "cbam": cbam}


def _channels_weighed(features: Any, prefix: str, ratio: int) -> Any:
    """One perceptron reads the mean and the maximum of each channel; its two answers are added."""
    reduce, expand = _perceptron(features.shape[-1], ratio, f"{prefix}_channel")
    mean = _pool(keras.layers.GlobalAveragePooling2D, features, f"{prefix}_channel_mean")
    maximum = _pool(keras.layers.GlobalMaxPooling2D, features, f"{prefix}_channel_maximum")
    both = [expand(reduce(mean)), expand(reduce(maximum))]
    score = keras.layers.Add(dtype="float32", name=f"{prefix}_channel_score")(both)
    gate = Gate(dtype="float32", name=f"{prefix}_channel_gate")(score)
    return keras.layers.Multiply(name=f"{prefix}_channel_scaled")([features, gate])


def _places_weighed(features: Any, prefix: str) -> Any:
    """A 7x7 convolution reads each cell's mean and maximum; its normalisation starts with scale zero."""
    statistics = ChannelStatistics(dtype="float32", name=f"{prefix}_place_statistics")(features)
    score = keras.layers.Conv2D(
        1, 7, padding="same", use_bias=False, dtype="float32", name=f"{prefix}_place_conv"
    )(statistics)
    score = BatchNormalization(
        momentum=0.99,
        epsilon=SMALLEST_EPSILON,
        gamma_initializer="zeros",
        dtype="float32",
        name=f"{prefix}_place_bn",
    )(score)
    gate = Gate(dtype="float32", name=f"{prefix}_place_gate")(score)
    return keras.layers.Multiply(name=f"{prefix}_place_scaled")([features, gate])


def _pool(kind: type[keras.layers.Layer], features: Any, name: str) -> Any:
    return kind(keepdims=True, dtype="float32", name=name)(features)


def _perceptron(channels: int, ratio: int, name: str) -> tuple[keras.layers.Dense, keras.layers.Dense]:
    """Channels -> channels / ratio -> channels; the second layer starts at zero."""
    reduce = keras.layers.Dense(
        max(1, channels // ratio),
        activation="relu",
        kernel_initializer="he_normal",
        dtype="float32",
        name=f"{name}_reduce",
    )
    expand = keras.layers.Dense(channels, kernel_initializer="zeros", dtype="float32", name=f"{name}_expand")
    return reduce, expand
