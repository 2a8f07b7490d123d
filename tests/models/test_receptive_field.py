"""Receptive fields by arithmetic, against a probe: which input pixels change a cell of the last map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from histoblend.models.problem import Problem
from histoblend.models.receptive_field import receptive_field
from histoblend.models.registry import build_network

SIDE = 64


def conv(filters: int, size: int = 3, **settings: Any) -> layers.Conv2D:
    return layers.Conv2D(filters, size, **{"padding": "same", "use_bias": False} | settings)


def plain(features: Any) -> Any:
    features = layers.MaxPooling2D()(layers.ReLU()(conv(2)(features)))
    return conv(2)(layers.AveragePooling2D(3, strides=2, padding="same")(conv(2, 5)(features)))


def strided_and_dilated(features: Any) -> Any:
    features = conv(2, 3, strides=2)(features)
    features = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(features)
    return layers.SeparableConv2D(2, 3, padding="same", use_bias=False)(conv(2, 3, dilation_rate=3)(features))


def residual_with_a_wider_shortcut(features: Any) -> Any:
    """Padding `same` puts a strided 3x3 window and a strided 1x1 or 2x2 one off each other's centres."""
    branch = conv(2, 3, strides=2)(features)
    return layers.Concatenate()([branch, conv(2, 6, strides=2)(features), conv(2, 1, strides=2)(features)])


def padded_by_hand(features: Any) -> Any:
    features = layers.ZeroPadding2D(((3, 2), (3, 2)))(features)
    features = conv(2, 7, strides=2, padding="valid")(features)
    return conv(2, 3, padding="valid")(layers.Cropping2D(4)(features))


def nested(features: Any) -> Any:
    inside = keras.Input(features.shape[1:])
    body = keras.Model(inside, strided_and_dilated(conv(2, 3, strides=2)(inside)))
    return conv(2, 1)(keras.Sequential([layers.Input(features.shape[1:]), conv(1, 3), body])(features))


BODIES: list[Callable[[Any], Any]] = [
    plain, strided_and_dilated, residual_with_a_wider_shortcut, padded_by_hand, nested,
]  # fmt: skip


def with_head(body: Callable[[Any], Any]) -> tuple[keras.Model, keras.Model]:
    """The network, and its body up to the last map."""
    inputs = keras.Input((SIDE, SIDE, 1))
    features = body(inputs)
    outputs = layers.Dense(1)(layers.GlobalAveragePooling2D()(features))
    return keras.Model(inputs, outputs), keras.Model(inputs, features)


def probed(body: keras.Model) -> int:
    """Rows of the input whose change moves the middle cell: weights are positive, so that no change is lost."""
    for weight in body.weights:
        weight.assign(np.abs(weight.numpy()) + 0.1)
    pictures = np.full((SIDE + 1, SIDE, SIDE, 1), 0.0, np.float32)
    for row in range(SIDE):
        pictures[row, row] = 1.0
    maps = body.predict(pictures, verbose=0)
    middle = maps.shape[1] // 2
    cells = maps[:, middle, middle].reshape(SIDE + 1, -1)
    moved = np.flatnonzero((cells[:-1] != cells[-1]).any(axis=1))
    return int(moved.max() - moved.min() + 1)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_arithmetic_equals_the_probe(body: Callable[[Any], Any]):
    model, features = with_head(body)
    found = receptive_field(model)
    assert found.cells == features.output.shape[1]
    assert found.pixels == probed(features)
    assert found.pixels < SIDE


def test_a_known_chain():
    def three(features: Any) -> Any:
        return conv(2)(conv(2, strides=2)(conv(2)(features)))

    assert receptive_field(with_head(three)[0]).pixels == 9  # 1 + 2*1 + 2*1 + 2*2


def test_a_gate_from_global_pooling_sees_everything_but_one_in_the_head_does_not_count():
    def gated(features: Any) -> Any:
        features = conv(2)(features)
        gate = layers.Dense(2, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(features))
        return conv(2)(layers.Multiply()([features, gate]))

    assert receptive_field(with_head(gated)[0]).pixels is None
    assert receptive_field(with_head(lambda features: conv(2)(conv(2)(features)))[0]).pixels == 5


def test_attention_over_tokens_sees_everything():
    def tokens(features: Any) -> Any:
        features = layers.Reshape((64, 2))(conv(2, 8, strides=8)(features))
        features = layers.MultiHeadAttention(1, 2)(features, features)
        return layers.Reshape((8, 8, 2))(features)

    found = receptive_field(with_head(tokens)[0])
    assert (found.pixels, found.cells) == (None, 8)


def test_more_than_the_patch_is_the_whole():
    def wide(features: Any) -> Any:
        for _ in range(6):
            features = layers.MaxPooling2D(3, strides=2, padding="same")(conv(1)(features))
        return features

    assert receptive_field(with_head(wide)[0]).pixels is None


def test_pixels_are_those_of_the_patch_when_it_is_resized_inside():
    def resized(scale: int) -> Callable[[Any], Any]:
        return lambda features: conv(1, 9)(layers.Resizing(SIDE * scale, SIDE * scale)(features))

    enlarged = receptive_field(with_head(resized(2))[0])
    probe = probed(with_head(resized(2))[1])
    assert probe <= (enlarged.pixels or 0) <= probe + 2
    assert (enlarged.pixels or 0) < 9


def test_a_layer_nobody_knows_is_not_guessed_at():
    class Unknown(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(TypeError, match="Unknown"):
        receptive_field(with_head(lambda features: Unknown()(features))[0])


def test_networks_of_the_registry():
    """small_vgg: 3x3 convolutions, two a stage, four stages: 1 + 2*2*(1 + 2 + 4 + 8) + the pooling's 1 + 2 + 4."""
    vgg = receptive_field(build_network("small_vgg", {}, Problem()))
    assert (vgg.pixels, vgg.cells) == (1 + 4 * 15 + 7, 12)
    # VGG16 at its last pooling: published as 212 pixels.
    large = receptive_field(build_network("vgg16", {"weights": "none"}, Problem(256, 256), pretrained=False))
    assert (large.pixels, large.cells) == (212, 8)
