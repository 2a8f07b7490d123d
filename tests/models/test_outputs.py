"""A network has a logit and a probability, and exactly one sigmoid between them."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from histoblend.models.outputs import logit_model, probability_model, without_optimizer
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network

PATCHES = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype="uint8")
NETWORKS = [
    ("course_cnn", {"widths": [4], "dense": 4}),
    ("small_vgg", {"widths": [4], "depths": [1]}),
]


@pytest.mark.parametrize(("name", "values"), NETWORKS)
def test_probability_is_the_sigmoid_of_the_logit(name, values):
    network = build_network(name, values, Problem())
    logits = np.asarray(logit_model(network)(PATCHES))
    probabilities = np.asarray(probability_model(network)(PATCHES))
    assert (probabilities > 0).all() and (probabilities < 1).all()
    np.testing.assert_allclose(np.log(probabilities / (1 - probabilities)), logits, atol=1e-4)


@pytest.mark.parametrize(("name", "values"), NETWORKS)
def test_asking_twice_changes_nothing(name, values):
    network = build_network(name, values, Problem())
    once, twice = probability_model(network), probability_model(probability_model(network))
    np.testing.assert_array_equal(once(PATCHES), twice(PATCHES))
    logits = logit_model(probability_model(network))
    np.testing.assert_array_equal(logits(PATCHES), logit_model(logits)(PATCHES))


def test_course_cnn_is_sequential_and_ends_in_a_sigmoid():
    network = build_network("course_cnn", {}, Problem())
    assert isinstance(network, keras.Sequential)
    assert [layer.name for layer in network.layers[-2:]] == ["logit", "probability"]


@pytest.mark.parametrize(("name", "values"), NETWORKS)
def test_logits_are_float32_under_mixed_precision(name, values):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build_network(name, values, Problem())
    finally:
        keras.config.set_dtype_policy(before)
    for face in (logit_model(network), probability_model(network)):
        assert face.outputs[0].dtype == "float32"


def test_weights_are_saved_without_an_optimizer_and_load_into_the_network_itself(tmp_path: Path):
    """Keras writes a compiled model's optimizer beside its weights: three times the size."""
    network = logit_model(build_network("small_vgg", {"widths": [4, 8], "depths": [1, 1]}, Problem()))
    network.compile(optimizer="adamw", loss="mse")
    network.optimizer.build(network.trainable_variables)
    path = tmp_path / "model.weights.h5"
    without_optimizer(network).save_weights(path)
    with h5py.File(path) as stored:
        assert "optimizer" not in stored
    other = logit_model(build_network("small_vgg", {"widths": [4, 8], "depths": [1, 1]}, Problem()))
    other.load_weights(path)
    for mine, its in zip(other.weights, network.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(its))
