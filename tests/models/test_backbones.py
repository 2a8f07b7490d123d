"""Every backbone is fed the input range it was trained on, exactly once, and starts from weights that are there."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.models import backbones, layers
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network

PREPROCESSING = {
    "densenet121": "densenet",
    "efficientnet_b0": "efficientnet",
    "efficientnetv2_b0": "efficientnet_v2",
    "resnet50v2": "resnet_v2",
    "resnet50": "resnet",
    "convnext_tiny": "convnext",
    "xception": "xception",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_large": "mobilenet_v3",
    "vgg16": "vgg16",
    "nasnet_mobile": "nasnet",
}
PATCHES = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype="uint8")


@pytest.mark.parametrize("backbone", backbones.APPLICATIONS)
def test_input_range_is_that_of_the_application(backbone):
    module = importlib.import_module(f"keras.applications.{PREPROCESSING[backbone]}")
    expected = module.preprocess_input(PATCHES.astype("float32"))
    stack = [*layers.entrance(Problem(), None), *backbones.NORMALISE[backbone]()]
    np.testing.assert_allclose(layers.chained(PATCHES, stack), expected, atol=1e-3)


def is_normalising(layer: keras.layers.Layer) -> bool:
    rescales = isinstance(layer, keras.layers.Rescaling) and np.any(np.not_equal(layer.scale, 1.0))
    return rescales or isinstance(layer, keras.layers.Normalization)


def normalising(model: keras.Model) -> list[str]:
    """Layers that shift or scale pixels, nested ones included."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += normalising(layer)
        elif is_normalising(layer):
            found.append(layer.name)
    return found


@pytest.mark.parametrize("backbone", ["mobilenet_v3_large", "mobilenet_v2"])
def test_normalises_once(backbone):
    assert len(normalising(build_network(backbone, {"weights": "none"}, Problem()))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("backbone", backbones.APPLICATIONS)
def test_every_backbone_builds_and_predicts(backbone):
    model = build_network(backbone, {"weights": "none"}, Problem())
    logits = np.asarray(model(PATCHES))
    assert logits.shape == (2, 1) and np.isfinite(logits).all()


def test_without_weights_anywhere_it_refuses_rather_than_start_at_random(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HISTOBLEND_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("histoblend.models.weights.has_internet", lambda: False)
    with pytest.raises(MachineRefusal, match="mobilenet_v2_weights"):
        build_network("mobilenet_v2", {}, Problem())
    build_network("mobilenet_v2", {}, Problem(), pretrained=False)


def test_weights_from_a_named_file(monkeypatch, tmp_path):
    source = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    file = tmp_path / "source.weights.h5"
    source.save_weights(file)
    model = build_network("mobilenet_v2", {"weights": str(file)}, Problem())
    body = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for one, other in zip(source.get_weights(), body.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_small_an_input_is_refused():
    with pytest.raises(ConfigRefusal, match="does not take an input of 64"):
        build_network("xception", {"weights": "none"}, Problem(input_size=64))
