"""Every backbone is fed the input range it was trained on, exactly once, and keeps its function when built again."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.models import backbones, layers
from histoblend.models.backbones import APPLICATIONS, on_application, plain_backbone
from histoblend.models.backbones_rebuilt import STEMS, rebuilt
from histoblend.models.parameters import Backbone
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.models.summary import leaf_layers

QUICK = ("mobilenet_v2", "efficientnet_b0", "vgg16")
PIXELS = np.random.default_rng(0).normal(size=(4, 96, 96, 3)).astype("float32")
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def each(names, quick=QUICK):
    """A test case for each name; the large ones are slow."""
    return [pytest.param(one, marks=[] if one in quick else [pytest.mark.slow]) for one in names]


@functools.cache
def plain(backbone: str) -> keras.Model:
    return plain_backbone(backbone, "none", 96)


@functools.cache
def again(backbone: str, stem_stride: int = 4, attention: str = "") -> keras.Model:
    return rebuilt(plain(backbone), backbone, stem_stride=stem_stride, attention=attention)


def application_input(backbone: str, pixels: np.ndarray) -> np.ndarray:
    """What the published network was trained on, by its paper or its first authors' code."""
    if backbone in ("vgg16", "resnet50"):
        return keras.applications.resnet50.preprocess_input(pixels.copy())
    if backbone.startswith("densenet"):
        return keras.applications.densenet.preprocess_input(pixels.copy())
    if backbone == "efficientnetv2_s":
        return (pixels - 128.0) / 128.0
    if backbone.startswith(("efficientnet", "convnext")):
        return (pixels / 255.0 - MEAN) / DEVIATION
    return pixels / 127.5 - 1.0


def first_convolution(body: keras.Model) -> keras.layers.Layer:
    kinds = (keras.layers.Conv2D, keras.layers.ZeroPadding2D, keras.Sequential)
    return next(layer for layer in body.layers if isinstance(layer, kinds))


@pytest.mark.parametrize("backbone", each(APPLICATIONS))
def test_pixels_reach_the_first_convolution_as_published(backbone):
    patches = np.arange(256, dtype="uint8").repeat(36)[: 96 * 96, None].repeat(3, 1).reshape(1, 96, 96, 3)
    stack = [*layers.entrance(Problem(), None), *backbones.NORMALISE[backbone]()]
    body = again(backbone)
    inside = keras.Model(body.input, first_convolution(body).input)
    expected = application_input(backbone, patches.astype("float32"))
    np.testing.assert_allclose(inside(layers.chained(patches, stack)), expected, rtol=1e-4, atol=1e-4)


def is_normalising(layer: keras.layers.Layer) -> bool:
    rescales = isinstance(layer, keras.layers.Rescaling) and np.any(np.not_equal(layer.scale, 1.0))
    return rescales or isinstance(layer, (keras.layers.Normalization, backbones.ReversedChannels))


@pytest.mark.parametrize("backbone", each(APPLICATIONS))
def test_normalises_in_one_place(backbone):
    """Before the body, or in it where its statistics are weights; never a part here and a part there."""
    inside = [layer for layer in leaf_layers(again(backbone)) if is_normalising(layer)]
    before = backbones.NORMALISE[backbone]()
    assert bool(inside) != bool(before)
    kinds = [type(layer).__name__ for layer in inside]
    assert kinds in ([], ["Rescaling", "Normalization", "Rescaling"])
    assert {layer.compute_dtype for layer in [*inside, *before]} == {"float32"}


def test_normalisation_inside_a_body_stays_float32_under_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        body = rebuilt(plain_backbone("efficientnet_b0", "none", 96), "efficientnet_b0")
    finally:
        keras.config.set_dtype_policy("float32")
    inside = keras.Model(body.input, first_convolution(body).input)
    pixels = np.arange(256, dtype="float32").repeat(108).reshape(1, 96, 96, 3)
    np.testing.assert_allclose(
        inside(pixels), application_input("efficientnet_b0", pixels), rtol=1e-4, atol=1e-4
    )


def owner(weight) -> tuple[str, tuple[int, ...]]:
    """Layer and shape; ConvNeXt numbers its scales through all models, NASNet puts layers under name scopes."""
    return weight.path.split("/")[-2], tuple(weight.shape)


def normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in leaf_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("backbone", each(APPLICATIONS))
def test_every_batch_normalisation_is_ours_and_the_rest_is_the_plain_network(backbone):
    ours, theirs = again(backbone), plain(backbone)
    assert {type(layer) for layer in normalisations(ours)} <= {layers.BatchNormalization}
    assert len(normalisations(ours)) == len(normalisations(theirs))
    for other in normalisations(theirs):  # by name: NASNet's branches come in another order
        expected = other.get_config() | {"momentum": min(other.momentum, 0.99)}
        assert ours.get_layer(other.name).get_config() == expected
    assert sorted(owner(weight) for weight in ours.weights) == sorted(
        owner(weight) for weight in theirs.weights
    )


def with_uneven_statistics(model: keras.Model) -> None:
    """Fresh moving statistics and scales would hide a swap of mean and variance."""
    rng = np.random.default_rng(2)
    for layer in normalisations(model):
        layer.set_weights([rng.uniform(0.8, 1.2, weight.shape) for weight in layer.get_weights()])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backbone", each(["mobilenet_v2", "resnet50", "densenet121", "xception"]))
def test_equals_the_plain_network(backbone, training):
    """In one part of 10,000 of the largest output: rounding grows through a hundred layers."""
    theirs = plain_backbone(backbone, "none", 96)
    with_uneven_statistics(theirs)
    for layer in normalisations(theirs):
        layer.momentum = min(layer.momentum, 0.99)  # the one thing that `rebuilt` changes
    ours = rebuilt(theirs, backbone)
    result, expected = (np.asarray(model(PIXELS, training=training)) for model in (ours, theirs))
    np.testing.assert_allclose(result, expected, atol=1e-4 * np.abs(expected).max())
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_frozen_backbone_keeps_its_statistics_in_training():
    theirs = plain("mobilenet_v2")
    ours = rebuilt(theirs, "mobilenet_v2")
    ours.trainable = False
    before = ours.get_weights()
    np.testing.assert_array_equal(ours(PIXELS, training=True), ours(PIXELS, training=False))
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.get_weights(), strict=True))


@pytest.mark.parametrize(("stem_stride", "cells"), [(4, 3), (2, 6), (1, 12)])
@pytest.mark.parametrize("backbone", each(STEMS))
def test_a_gentler_stem_keeps_cells_and_takes_the_same_weights(backbone, stem_stride, cells):
    altered = again(backbone, stem_stride)
    assert altered.output.shape[1:3] == (cells, cells)
    for one, other in zip(altered.weights, plain(backbone).weights, strict=True):
        assert owner(one) == owner(other)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("size", "stem_stride"), [(100, 2), (160, 1)])
def test_a_gentler_stem_fits_every_input(size, stem_stride):
    body = plain_backbone("mobilenet_v2", "none", size)
    cells = body.output.shape[1]
    kept = rebuilt(body, "mobilenet_v2", stem_stride=stem_stride).output.shape[1]
    assert abs(kept - cells * 4 // stem_stride) <= 4 // stem_stride - 1


@pytest.mark.slow
def test_a_gentler_stem_stays_centred():
    """A mirrored patch gives the mirrored map where kernels are mirrored: padding is even on both sides."""
    body = again("resnet50", 2)
    first = keras.Model(body.input, body.get_layer("conv1_conv").output)
    kernel, bias = body.get_layer("conv1_conv").get_weights()
    body.get_layer("conv1_conv").set_weights([kernel + kernel[:, ::-1], bias])
    np.testing.assert_allclose(first(PIXELS[:, :, ::-1]), np.asarray(first(PIXELS))[:, :, ::-1], atol=1e-4)
    body.get_layer("conv1_conv").set_weights([kernel, bias])


def test_a_backbone_that_cannot_keep_more_cells_is_refused():
    assert set(APPLICATIONS) - set(STEMS) == {"nasnet_mobile"}
    with pytest.raises(ConfigRefusal, match=r"network\.stem_stride is 2; nasnet_mobile keeps its strides"):
        rebuilt(plain("mobilenet_v2"), "nasnet_mobile", stem_stride=2)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["squeeze_excitation", "cbam"])
def test_attention_begins_as_the_network_its_weights_come_from(attention):
    ours, theirs = again("resnet50", 4, attention), plain("resnet50")
    np.testing.assert_allclose(ours(PIXELS[:1]), theirs(PIXELS[:1]), rtol=1e-4, atol=1e-4)
    gated = [layer.name for layer in ours.layers if layer.name.endswith("_gate")]
    assert len(gated) == 16 * (1 if attention == "squeeze_excitation" else 2)
    scaled = ours.get_layer(f"conv5_block3_{'se' if attention == 'squeeze_excitation' else 'place'}_scaled")
    assert ours.get_layer("conv5_block3_add").input[1] is scaled.output


def test_the_settings_reach_the_body():
    settings = Backbone(weights="none", stem_stride=2, crop=48)
    model = on_application(Problem(), settings, backbone="mobilenet_v2")
    body = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    assert body.output.shape[1:3] == (6, 6) and model.get_layer("centre_crop").height == 48


def test_too_small_an_input_is_refused():
    with pytest.raises(ConfigRefusal, match="does not take an input of 64"):
        build_network("xception", {"weights": "none"}, Problem(input_size=64))
