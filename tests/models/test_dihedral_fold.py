"""For inference a dihedral network is an ordinary one with the same logits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from histoblend.models.dense import dense_model
from histoblend.models.dihedral_fold import exported_model, folded_model
from histoblend.models.dihedral_layers import DihedralConvolution, GroupPooling
from histoblend.models.outputs import probability_model
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.models.summary import count_macs

SIDE = 24
PATCHES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype="uint8")
RESNET = {"stem": "full", "fields": [2, 4], "blocks": [1, 1]}
DENSENET = {"growth": 2, "blocks": [1, 2]}
NETWORKS = [
    ("d4_resnet", RESNET),
    ("d4_resnet", {**RESNET, "stem": "halved", "orientations": "max", "head": "centre_max"}),
    ("d4_resnet", {**RESNET, "normalisation": "none"}),
    ("d4_densenet", DENSENET),
    ("d4_densenet", {**DENSENET, "normalisation": "none", "orientations": "max"}),
]


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy(before)


def trained_like(name: str, parameters: dict[str, Any]) -> keras.Model:
    """The network with uneven normalisations, whose statistics are those of its maps."""
    keras.utils.set_random_seed(1)
    model = build_network(name, parameters, Problem(SIDE, SIDE))
    generator = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(generator.uniform(0.5, 1.5, layer.gamma.shape))
            layer.beta.assign(generator.normal(0, 0.3, layer.beta.shape))
            layer.momentum = 0.0
    model(PATCHES, training=True)
    return model


@pytest.mark.parametrize(("name", "parameters"), NETWORKS)
def test_folded_networks_say_the_same_in_ordinary_layers(name: str, parameters: dict[str, Any]) -> None:
    model = trained_like(name, parameters)
    folded = folded_model(model)
    np.testing.assert_allclose(
        folded.predict_on_batch(PATCHES), model.predict_on_batch(PATCHES), rtol=1e-5, atol=1e-5
    )
    assert not any(isinstance(layer, (DihedralConvolution, GroupPooling)) for layer in folded.layers)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers) or (
        name == "d4_densenet"
    )
    shortcut = count_macs(folded) - count_macs(model)  # the mean over orientations is a convolution now
    assert 0 <= shortcut < 0.01 * count_macs(model)


@pytest.mark.parametrize(("name", "parameters"), NETWORKS)
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_exported_networks_hold_layers_of_keras_only_in_float32(
    name: str, parameters: dict[str, Any], precision: str
) -> None:
    model = trained_like(name, parameters)
    expected, weights = model.predict_on_batch(PATCHES), model.get_weights()
    keras.config.set_dtype_policy(precision)
    again = build_network(name, parameters, Problem(SIDE, SIDE))
    again.set_weights(weights)
    exported = exported_model(again)
    assert all(type(layer).__module__.startswith("keras.") for layer in exported.layers)
    assert {layer.compute_dtype for layer in exported.layers[1:]} == {"float32"}
    np.testing.assert_allclose(exported.predict_on_batch(PATCHES), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "parameters"), [NETWORKS[0], NETWORKS[3]])
@pytest.mark.parametrize(("precision", "bound"), [("mixed_bfloat16", 3e-2), ("mixed_float16", 4e-3)])
def test_in_half_precision_folding_rounds_nothing_that_training_did_not(
    name: str, parameters: dict[str, Any], precision: str, bound: float
) -> None:
    wide = trained_like(name, parameters)
    keras.config.set_dtype_policy(precision)
    half = build_network(name, parameters, Problem(SIDE, SIDE))
    half.set_weights(wide.get_weights())
    folded = folded_model(half).predict_on_batch(PATCHES)
    np.testing.assert_array_equal(folded, half.predict_on_batch(PATCHES))
    np.testing.assert_allclose(folded, wide.predict_on_batch(PATCHES), atol=bound)


def test_other_networks_are_left_alone() -> None:
    model = build_network("small_vgg", {"widths": [4], "depths": [1]}, Problem(SIDE, SIDE))
    assert folded_model(model) is model


def test_folding_leaves_the_network_as_it_was() -> None:
    model = trained_like("d4_resnet", RESNET)
    before, said = model.get_weights(), model.predict_on_batch(PATCHES)
    folded_model(model)
    np.testing.assert_array_equal(model.predict_on_batch(PATCHES), said)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_a_saved_one_needs_nothing_of_ours(tmp_path: Path) -> None:
    model = trained_like("d4_resnet", RESNET)
    path = tmp_path / "model.keras"
    probability_model(exported_model(model)).save(path)
    ours = {name: kind for name, kind in keras.saving.get_custom_objects().items() if "histoblend" in name}
    for name in ours:
        keras.saving.get_custom_objects().pop(name)
    try:
        again = keras.saving.load_model(path)
    finally:
        keras.saving.get_custom_objects().update(ours)
    expected = probability_model(model).predict_on_batch(PATCHES)
    np.testing.assert_allclose(again.predict_on_batch(PATCHES), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "parameters"), [NETWORKS[1], NETWORKS[3]])
def test_it_runs_over_a_picture_in_one_pass(name: str, parameters: dict[str, Any]) -> None:
    folded = folded_model(trained_like(name, parameters))
    dense = dense_model(folded, SIDE).predict_on_batch(PATCHES)
    np.testing.assert_allclose(dense[:, 0, 0], folded.predict_on_batch(PATCHES), rtol=1e-4, atol=1e-5)
