"""Costs by arithmetic."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from histoblend.models.dihedral_layers import LiftingConvolution
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


def test_a_layer_that_is_called_twice_counts_twice():
    shared, inputs = keras.layers.Dense(3), keras.Input((3,))
    assert count_macs(keras.Model(inputs, shared(shared(inputs)))) == 18


def test_attention_counts_projections_and_scores():
    tokens = keras.Input((10, 6))
    attended = keras.layers.MultiHeadAttention(num_heads=2, key_dim=3, value_dim=4)(tokens, tokens)
    projections = 10 * 6 * 2 * (3 + 3 + 4 + 4)  # query, key, value, output
    assert count_macs(keras.Model(tokens, attended)) == projections + 2 * 10 * 10 * (3 + 4)


class Squared(keras.layers.Layer):
    """A kernel of its own."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, inputs: Any) -> Any:
        return keras.ops.matmul(inputs, self.kernel)


class Telling(Squared):
    """It says what it multiplies."""

    def macs(self) -> int:
        return 16


def test_layers_of_our_own_tell_or_are_not_overlooked():
    inputs = keras.Input((4,))
    assert count_macs(keras.Model(inputs, Telling()(inputs))) == 16
    with pytest.raises(TypeError, match="no method macs"):
        count_macs(keras.Model(inputs, Squared()(inputs)))


def test_a_dihedral_network_costs_what_its_ordinary_convolutions_cost():
    layer = LiftingConvolution(2, 3)
    inputs = keras.Input((8, 8, 3))
    lifted = count_macs(keras.Model(inputs, layer(inputs)))
    assert lifted == count_macs(keras.Model(inputs, keras.layers.Conv2D(16, 3, padding="same")(inputs)))


PUBLISHED = {
    # at 224 pixels; the top of 1,000 classes left out
    "mobilenet_v2": (299e6, 3e6),  # Sandler et al. 2018: 300 million with its top of 1.28
    "resnet50": (3.86e9, 0.02e9),  # He et al. 2016: 3.8 billion
    "densenet121": (2.85e9, 0.05e9),  # Huang et al. 2017: 2.87 billion counted by others
}


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", *(pytest.param(name, marks=pytest.mark.slow) for name in list(PUBLISHED)[1:])]
)
def test_known_network(name: str):
    expected, deviation = PUBLISHED[name]
    body = count_macs(build_network(name, {"weights": "none"}, Problem(input_size=224)))
    assert abs(body - expected) < deviation
