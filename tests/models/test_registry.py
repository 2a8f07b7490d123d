"""One table of networks: every row builds, and a config is checked without loading Keras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

from histoblend.config_files import load_experiment
from histoblend.errors import ConfigRefusal
from histoblend.models import layers, parameters
from histoblend.models.outputs import logit_model, probability_model
from histoblend.models.problem import Problem
from histoblend.models.registry import NETWORKS, build_network, check_network

PATCHES = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype="uint8")
TINY = {
    "course_cnn": {"widths": [4, 4], "dense": 4},
    "small_vgg": {"widths": [4, 8], "depths": [1, 1]},
    "small_resnet": {"widths": [4, 8], "blocks": [1, 1]},
    "small_vit": {"patch": 16, "width": 16, "depth": 2, "attention_heads": 2},
}

TINY_DIHEDRAL = {
    "d4_resnet": {"fields": [2, 4], "blocks": [1, 1]},
    "d4_densenet": {"growth": 1, "blocks": [1, 1]},
}


def test_unknown_network_names_the_nearest():
    with pytest.raises(ConfigRefusal, match="Did you mean small_resnet"):
        check_network("smal_resnet", {})


def test_unknown_parameter_names_the_nearest():
    with pytest.raises(ConfigRefusal, match=r"unknown parameter 'dropuot'. Did you mean dropout"):
        check_network("small_resnet", {"dropuot": 0.1})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("small_vgg", {"head": "center"}),
        ("small_vgg", {"dropout": 1.0}),
        ("small_vgg", {"crop": 33}),
        ("small_vgg", {"crop": 600}),
        ("small_vgg", {"widths": [8, 8], "depths": [1]}),
        ("small_resnet", {"widths": [8, 8], "blocks": [1]}),
        ("densenet121", {"normalisation": "none"}),
        ("course_cnn", {"widths": []}),
    ],
)
def test_values_out_of_range_are_refused(name, values):
    with pytest.raises(ConfigRefusal, match=name):
        check_network(name, values)


def test_checking_does_not_import_keras():
    code = (
        "import sys; from histoblend.models.registry import check_network; check_network('densenet121', {});"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", TINY)
def test_builds_at_other_sizes_and_crops(name):
    for size, crop in ((96, None), (64, 64), (48, None)):
        model = build_network(name, {**TINY[name], "crop": crop}, Problem(input_size=size))
        assert model.inputs[0].shape == (None, 96, 96, 3) and model.inputs[0].dtype == "uint8"
        output = logit_model(model)(PATCHES)
        assert output.shape == (2, 1) and keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(("side", "classes"), [(32, 10), (64, 3), (224, 2)])
def test_builds_for_patches_of_any_side_and_number_of_classes(name, side, classes):
    problem = Problem(side, side, classes)
    network = build_network(name, TINY[name], problem)
    patches = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    chances = np.asarray(probability_model(network)(patches))
    assert logit_model(network)(patches).shape == (2, problem.outputs)
    assert chances.shape == (2, problem.outputs) and (classes == 2 or np.allclose(chances.sum(axis=1), 1))


@pytest.mark.parametrize("crop", [100, 16])
def test_a_crop_beyond_the_patch_or_into_its_labelled_centre_is_refused(crop):
    with pytest.raises(ConfigRefusal, match=f"network.crop is {crop}; the patches are 96 pixels wide"):
        build_network("small_vgg", {**TINY["small_vgg"], "crop": crop}, Problem())


@pytest.mark.parametrize("name", [name for name in TINY if name != "small_vit"])
@pytest.mark.parametrize("normalisation", get_args(parameters.Normalisation))
def test_every_normalisation_and_activation_builds(name, normalisation):
    for activation in get_args(parameters.Activation):
        values = {**TINY[name], "normalisation": normalisation, "activation": activation, "dropout": 0.1}
        model = build_network(name, values, Problem())
        logits = np.asarray(model(PATCHES))
        assert np.isfinite(logits).all() and logits[0] != logits[1]


def test_declared_normalisations_are_those_of_the_table():
    assert set(get_args(parameters.Normalisation)) == set(layers.NORMALISATIONS)


def test_equal_seeds_give_equal_weights():
    weights = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        weights.append(build_network("small_vgg", TINY["small_vgg"], Problem()).get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))


def test_features_row_is_no_keras_network():
    with pytest.raises(ConfigRefusal, match="no Keras network"):
        build_network("texture_hgb", {}, Problem())


@pytest.mark.parametrize("name", ["small_vgg", "small_resnet"])
def test_ignores_what_lies_outside_the_crop(name):
    model = build_network(name, {**TINY[name], "crop": 64}, Problem(input_size=64))
    painted = PATCHES.copy()
    painted[:, :16] = 0
    np.testing.assert_array_equal(model(PATCHES), model(painted))


@pytest.mark.parametrize("name", ["small_vgg", "small_resnet"])
def test_first_block_sees_every_pixel(name):
    model = build_network(name, TINY[name], Problem())
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    assert first.output.shape[1:3] == (96, 96) and first.strides == (1, 1)


def test_weights_survive_a_rebuild(tmp_path):
    model = build_network("small_resnet", {**TINY["small_resnet"], "attention": True}, Problem())
    model.save_weights(tmp_path / "model.weights.h5")
    again = build_network("small_resnet", {**TINY["small_resnet"], "attention": True}, Problem())
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model(PATCHES), again(PATCHES))


def test_every_row_says_what_it_is():
    for name, row in NETWORKS.items():
        assert row.description and row.family and row.normalisation and ":" in row.build, name
        assert (row.weights == "imagenet") == ("backbone" in row.fixed), name
        check_network(name, {})


def test_every_row_is_named_by_an_experiment():
    folder = Path(__file__).parents[2] / "configs"
    names = [path.stem for path in (folder / "experiments").glob("*.yaml")]
    assert set(NETWORKS) == {load_experiment(name, folder).network.name for name in names}


def small_settings(name: str) -> dict:
    """Parameters with which the row is quick, random and without dropout."""
    fields = check_network(name, {}).model_dump()
    random = {"weights": "none"} if "weights" in fields else {}
    still = {key: 0.0 for key in ("dropout", "drop_path") if key in fields}
    return {**random, **still, **TINY.get(name, {}), **TINY_DIHEDRAL.get(name, {})}


LEARN_QUICKLY = (*TINY, *TINY_DIHEDRAL, "two_stream")
KERAS_ROWS = [
    pytest.param(name, marks=[] if name in LEARN_QUICKLY else [pytest.mark.slow])
    for name, row in NETWORKS.items()
    if row.kind == "keras"
]


@pytest.mark.parametrize("name", KERAS_ROWS)
def test_every_row_learns_a_fixed_batch_and_survives_a_weights_round_trip(name, tmp_path):
    """The loss falls, in training mode; what was trained predicts the same after save, rebuild, load."""
    keras.utils.set_random_seed(1)
    patches, labels = PATCHES.repeat(2, axis=0), np.array([[0.0], [0.0], [1.0], [1.0]], "float32")
    network = build_network(name, small_settings(name), Problem())
    model = logit_model(network)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    losses = [float(model.train_on_batch(patches, labels)) for _ in range(8)]
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    network.save_weights(tmp_path / "trained.weights.h5")
    again = build_network(name, small_settings(name), Problem(), pretrained=False)
    again.load_weights(tmp_path / "trained.weights.h5")
    np.testing.assert_array_equal(network(PATCHES), again(PATCHES))


@pytest.mark.slow
def test_a_network_that_began_with_attached_weights_is_rebuilt_without_them(monkeypatch, tmp_path):
    """The body does not depend on where its weights came from: what a fold trained predicts the same later."""
    monkeypatch.setenv("HISTOBLEND_WEIGHTS", str(tmp_path))
    source = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(96, 96, 3))
    source.save_weights(tmp_path / "start.weights.h5")
    started = build_network("efficientnet_b0", {"weights": str(tmp_path / "start.weights.h5")}, Problem())
    started.save_weights(tmp_path / "trained.weights.h5")
    rebuilt = build_network("efficientnet_b0", {}, Problem(), pretrained=False)
    rebuilt.load_weights(tmp_path / "trained.weights.h5")
    np.testing.assert_array_equal(started(PATCHES), rebuilt(PATCHES))
