"""Grad-CAM lights where the evidence is, on networks whose answer is known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.inference import grad_cam as module
from histoblend.inference.grad_cam import explained, grad_cam, last_map
from histoblend.models.dihedral_fold import folded_model
from histoblend.models.outputs import logit_model
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network

SMALL = {"widths": [4, 8], "depths": [1, 1]}


def planted(head: object, outputs: int = 1) -> keras.Model:
    """Pixels 0-255 of 24 x 24 -> a map of 6 x 6 whose first channel is red, the second blue -> `head`."""
    patch = keras.Input((24, 24, 3), dtype="uint8")
    kernel = np.zeros((4, 4, 3, 2), np.float32)
    kernel[:, :, 0, 0] = kernel[:, :, 2, 1] = 1 / (16 * 255)
    convolution = keras.layers.Conv2D(2, 4, strides=4, use_bias=False, name="detector")
    features = convolution(keras.layers.Rescaling(1.0)(patch))
    convolution.set_weights([kernel])
    logit = keras.layers.Dense(outputs, use_bias=False)
    model = keras.Model(patch, logit(head(features)))
    logit.set_weights([np.array([[1.0], [-1.0]])[:, :outputs] if outputs == 1 else np.eye(2)])
    return model


def squares() -> np.ndarray:
    """A red square in the cell (1, 4) and a blue one in (4, 1)."""
    patch = np.zeros((1, 24, 24, 3), np.uint8)
    patch[0, 4:8, 16:20, 0] = 255
    patch[0, 16:20, 4:8, 2] = 255
    return patch


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_planted_object_lights_up_and_nothing_else(outputs: int) -> None:
    # one logit: red for class 1, blue for 0; two logits: red for class 0, blue for 1
    parted = explained(planted(keras.layers.GlobalAveragePooling2D(), outputs), Problem(24, 24))
    maps = grad_cam(parted, np.repeat(squares(), 2, axis=0), np.array([1, 0]))
    red, blue = maps if outputs == 1 else maps[::-1]
    for found, (row, column) in ((red, (6, 18)), (blue, (18, 6))):
        assert found.shape == (24, 24)
        assert np.hypot(*(np.array(np.unravel_index(found.argmax(), found.shape)) - (row, column))) <= 1.5
        # 36 cells of which one is lit; linear interpolation spreads it to its neighbours' middles at most
        assert found[max(row - 7, 0) : row + 7, max(column - 7, 0) : column + 7].sum() == pytest.approx(
            found.sum()
        )
        assert found.max() > 0.75
        assert found.min() == 0


def test_nothing_speaks_for_a_class_that_has_no_evidence() -> None:
    parted = explained(planted(keras.layers.GlobalAveragePooling2D()), Problem(24, 24))
    only_blue = squares() * np.array([0, 0, 1], np.uint8)
    assert not grad_cam(parted, only_blue, np.array([1])).any()


def test_the_weights_are_the_papers() -> None:
    """Against the formula spelled out on a small random network with two convolutions and a head of its own."""
    keras.utils.set_random_seed(3)
    model = logit_model(
        build_network("small_vgg", {**SMALL, "head": "gap", "normalisation": "none"}, Problem(24, 24))
    )
    patches = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), np.uint8)
    parted = explained(model, Problem(24, 24))
    activations = np.asarray(parted.to_map(patches), np.float64)
    # mean pooling, then a dense layer: the gradient is the dense weight over the number of cells, everywhere
    dense = model.get_layer("logit").get_weights()[0][:, 0]
    for answer, sign in ((1, 1), (0, -1)):
        cells = np.maximum(sign * (activations * dense).sum(-1), 0)
        for one, expected in zip(grad_cam(parted, patches, np.full(2, answer)), cells, strict=True):
            scaled = expected / (expected.max() or 1)
            # between the middles of the cells linearly: the corners of the patch are corner cells as they stand
            np.testing.assert_allclose(one[::23, ::23], scaled[::11, ::11], atol=1e-5)
            shares = np.array([[0.5625, 0.1875], [0.1875, 0.0625]])
            np.testing.assert_allclose(one[1, 1], (scaled[:2, :2] * shares).sum(), atol=1e-5)


def whole_and_centre(features: object) -> object:
    """Mean over 6 x 6 cells, and eight times that over the 2 x 2 in the middle, added."""
    inner = keras.layers.Cropping2D(2, name="centre_cells")(features)
    whole, centre = (keras.layers.GlobalAveragePooling2D()(one) for one in (features, inner))
    return keras.layers.Add()([whole, keras.layers.Rescaling(8.0)(centre)])


def test_cell_by_cell_a_head_that_looks_at_the_centre_is_seen_to_do_so() -> None:
    parted = explained(planted(whole_and_centre), Problem(24, 24))
    patch = squares() * np.array([1, 0, 0], np.uint8)
    patch[0, 8:12, 8:12, 0] = 255  # the cell (2, 2) is of the centre, (1, 4) is not; both are as red
    averaged, by_cell = (grad_cam(parted, patch, np.array([1]), by_cell=one)[0] for one in (False, True))
    outside, inside = (slice(5, 7), slice(17, 19)), (slice(9, 11), slice(9, 11))
    assert averaged[outside].mean() == pytest.approx(averaged[inside].mean(), rel=1e-5)
    # a cell outside brings 1/36 of its red to the logit, one of the centre 1/36 + 8/4
    assert by_cell[outside].mean() / by_cell[inside].mean() == pytest.approx(
        (1 / 36) / (1 / 36 + 2), rel=1e-4
    )


def test_for_a_mean_of_the_whole_map_both_weighings_are_the_same() -> None:
    parted = explained(planted(keras.layers.GlobalAveragePooling2D()), Problem(24, 24))
    averaged, by_cell = (grad_cam(parted, squares(), np.array([1]), by_cell=one) for one in (False, True))
    np.testing.assert_allclose(averaged, by_cell, atol=1e-6)


@pytest.mark.parametrize("head", ["centre_max", "centre_attention", "gem", "flatten", "gap+gmp"])
def test_every_head_reads_the_same_last_map(head: str) -> None:
    model = logit_model(build_network("small_vgg", {**SMALL, "head": head}, Problem(24, 24)))
    last = last_map(model)
    assert last.shape[1:] == (12, 12, 8)
    patches = np.random.default_rng(1).integers(0, 256, (1, 24, 24, 3), np.uint8)
    parted = explained(model, Problem(24, 24))
    whole = parted.to_logits(parted.to_map(patches, training=False), training=False)
    np.testing.assert_allclose(whole, model(patches, training=False), rtol=1e-4, atol=1e-5)


def test_a_dihedral_network_turns_its_map_with_the_patch() -> None:
    settings = {"fields": [2, 4], "blocks": [1, 1]}
    model = folded_model(logit_model(build_network("d4_resnet", settings, Problem(32, 32))))
    parted = explained(model, Problem(32, 32))
    patches = np.random.default_rng(2).integers(0, 256, (1, 32, 32, 3), np.uint8)
    turned = grad_cam(parted, np.rot90(patches, axes=(1, 2)).copy(), np.array([1]))
    np.testing.assert_allclose(
        turned, np.rot90(grad_cam(parted, patches, np.array([1])), axes=(1, 2)), atol=1e-3
    )


def test_what_a_cropped_network_does_not_see_stays_dark() -> None:
    model = logit_model(build_network("small_vgg", {**SMALL, "head": "gap", "crop": 16}, Problem(24, 16)))
    patches = np.random.default_rng(3).integers(0, 256, (1, 24, 24, 3), np.uint8)
    parted = explained(model, Problem(24, 16), crop=16)
    found = np.maximum(*(grad_cam(parted, patches, np.array([one])) for one in (0, 1)))
    assert found[:, 4:20, 4:20].any()
    assert not found[:, :4].any() and not found[:, 20:].any() and not found[:, :, :4].any()


def test_networks_without_a_last_map_say_so() -> None:
    two = logit_model(build_network("two_stream", {}, Problem(96, 96)))
    with pytest.raises(ConfigRefusal, match="2 maps of different parts"):
        last_map(two)
    patch = keras.Input((8, 8, 3), dtype="uint8")
    pixels = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(patch))
    with pytest.raises(ConfigRefusal, match="read the pixels themselves"):
        last_map(keras.Model(patch, keras.layers.Dense(1)(pixels)))
    cell = keras.layers.Conv2D(2, 8)(keras.layers.Rescaling(1 / 255)(patch))
    with pytest.raises(ConfigRefusal, match="a single cell"):
        last_map(keras.Model(patch, keras.layers.Dense(1)(keras.layers.Flatten()(cell))))


def test_tokens_of_a_transformer_that_stand_in_their_places_are_a_map() -> None:
    settings = {"patch": 8, "width": 16, "depth": 1, "attention_heads": 2}
    model = logit_model(build_network("small_vit", settings, Problem(24, 24)))
    assert last_map(model).shape[1:] == (3, 3, 16)


def test_another_backend_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    parted = explained(planted(keras.layers.GlobalAveragePooling2D()), Problem(24, 24))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(MachineRefusal, match="Keras runs on jax"):
        module.grad_cam(parted, squares(), np.array([1]))
