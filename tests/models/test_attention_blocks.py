"""Attention starts as the identity, computes its gates in float32, and then does what its papers say."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from histoblend.models.attention_blocks import ATTENTION, ChannelStatistics
from histoblend.models.layers import BatchNormalization

MAPS = np.random.default_rng(0).normal(0.0, 2.0, (2, 6, 6, 32)).astype("float32")


def block(name: str) -> keras.Model:
    inputs = keras.Input(MAPS.shape[1:])
    return keras.Model(inputs, ATTENTION[name](inputs, "block"))


def stirred(name: str) -> keras.Model:
    """The block with random weights everywhere."""
    model, rng = block(name), np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1.0, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(params=ATTENTION)
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("training", [True, False])
def test_starts_as_the_identity(name, training):
    np.testing.assert_array_equal(block(name)(MAPS, training=training), MAPS)


def test_learns_from_the_first_step(name):
    """A gate that began at 0 or 1 of a saturated sigmoid would hardly move."""
    model = block(name)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    target = MAPS * np.linspace(0.5, 1.5, 32, dtype="float32")
    first = model.train_on_batch(MAPS, target)
    for _ in range(30):
        last = model.train_on_batch(MAPS, target)
    assert last < 0.9 * first


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-values))


def test_squeeze_excitation_by_hand():
    model = stirred("squeeze_excitation")
    reduce, shift, expand, offset = model.get_weights()
    hidden = np.maximum(MAPS.mean((1, 2)) @ reduce + shift, 0.0)
    gate = 2.0 * sigmoid(hidden @ expand + offset)
    np.testing.assert_allclose(model(MAPS), MAPS * gate[:, None, None], rtol=1e-4, atol=1e-5)


def test_cbam_reads_mean_and_maximum_through_one_perceptron():
    model = stirred("cbam")
    weights = {weight.path: np.asarray(weight) for weight in model.weights}
    reduce, shift = weights["block_channel_reduce/kernel"], weights["block_channel_reduce/bias"]
    expand, offset = weights["block_channel_expand/kernel"], weights["block_channel_expand/bias"]

    def answer(vector):
        return np.maximum(vector @ reduce + shift, 0.0) @ expand + offset

    channels = 2.0 * sigmoid(answer(MAPS.mean((1, 2))) + answer(MAPS.max((1, 2))))
    expected = MAPS * channels[:, None, None]
    part = keras.Model(model.input, model.get_layer("block_channel_scaled").output)
    np.testing.assert_allclose(part(MAPS), expected, rtol=1e-4, atol=1e-4)
    statistics = ChannelStatistics(dtype="float32")(expected)
    np.testing.assert_allclose(statistics, np.stack([expected.mean(-1), expected.max(-1)], -1), atol=1e-4)


def test_cbam_weighs_whole_cells():
    model = stirred("cbam")
    kernel = model.get_layer("block_place_conv")
    kernel.set_weights([kernel.get_weights()[0] / 100.0])  # else every gate saturates
    before = np.asarray(keras.Model(model.input, model.get_layer("block_channel_scaled").output)(MAPS))
    ratio = np.asarray(model(MAPS)) / before
    assert np.ptp(ratio, axis=-1).max() < 1e-4 and np.ptp(ratio[..., 0]) > 1e-3


def test_gates_are_float32_under_half_precision(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = block(name)
    finally:
        keras.config.set_dtype_policy("float32")
    gates = [layer for layer in model.layers if layer.name.endswith("_gate")]
    assert gates and {layer.output.dtype for layer in gates} == {"float32"}
    assert model.output.dtype == "bfloat16"


def test_normalisation_is_ours():
    kinds = {type(layer) for layer in block("cbam").layers if "bn" in layer.name}
    assert kinds == {BatchNormalization}
