"""Costs by arithmetic."""

from __future__ import annotations

import keras

from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.models.summary import count_macs, count_parameters


def test_known_macs():
    inputs = keras.Input((8, 8, 4))
    features = keras.layers.Conv2D(6, 3, strides=2, padding="same")(inputs)  # 4*4 * 3*3*4*6
    features = keras.layers.DepthwiseConv2D(3, padding="same")(features)  # 4*4 * 3*3*6
    features = keras.layers.SeparableConv2D(5, 3, padding="same")(features)  # 4*4 * (3*3*6 + 6*5)
    features = keras.layers.Conv2D(10, 1, groups=5)(features)  # 4*4 * 1*10
    outputs = keras.layers.Dense(7)(keras.layers.Flatten()(features))  # 160*7
    expected = 16 * 216 + 16 * 54 + 16 * 84 + 16 * 10 + 1120
    assert count_macs(keras.Model(inputs, outputs)) == expected


def test_nested_models_count():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    inputs = keras.Input((4,))
    outer = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    assert count_macs(outer) == 4 * 3 + 3 * 2
    assert count_parameters(outer) == 15 + 8


def test_known_network():
    # MobileNetV2 at 224 is published as 300 million multiply-accumulates with its top of 1.28 million.
    body = count_macs(build_network("mobilenet_v2", {"weights": "none"}, Problem(input_size=224)))
    assert abs(body - 299e6) < 3e6
