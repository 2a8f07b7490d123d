"""Two streams: the labelled centre pixel by pixel, the whole patch coarser, one logit."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.models.problem import Problem
from histoblend.models.receptive_field import receptive_field
from histoblend.models.registry import build_network, check_network
from histoblend.models.summary import count_macs

TINY = {"widths": [4, 8], "depths": [1, 1], "centre_widths": [4, 8], "centre_depths": [1, 1]}


def built(problem: Problem = Problem(), **parameters: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_network("two_stream", {**TINY, **parameters}, problem)


def patches(side: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)


def response(model: keras.Model, layer: str, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(inputs))


def test_the_centre_stream_sees_the_labelled_pixels_and_nothing_else():
    model, inputs = built(), patches()
    expected = inputs[:, 32:64, 32:64] / 127.5 - 1
    np.testing.assert_allclose(response(model, "centre_pixels", inputs), expected, atol=1e-6)
    painted = np.full_like(inputs, 7)
    painted[:, 32:64, 32:64] = inputs[:, 32:64, 32:64]
    layer = "centre_mean_and_maximum"
    np.testing.assert_array_equal(response(model, layer, inputs), response(model, layer, painted))
    assert not np.allclose(model(inputs), model(painted))  # the other stream sees what is painted


def test_the_other_stream_sees_averages_of_aligned_squares():
    model, inputs = built(), patches()
    expected = inputs.reshape(2, 48, 2, 48, 2, 3).mean((2, 4)) / 127.5 - 1
    np.testing.assert_allclose(response(model, "shrink", inputs), expected, atol=1e-5)


def test_each_pixel_of_the_patch_reaches_the_logit():
    model, inputs = built(), patches()
    for row, column in ((0, 0), (95, 95), (0, 95), (47, 47)):
        changed = inputs.copy()
        changed[:, row, column] ^= 255
        assert not np.array_equal(model(inputs), model(changed))


@pytest.mark.parametrize(("side", "centre"), [(96, 32), (64, 22), (32, 10), (224, 74), (50, 16)])
def test_the_centre_is_a_third_in_the_middle_of_any_patch(side, centre):
    model = built(Problem(side, side, 3))
    margin = (side - centre) // 2
    inputs = patches(side)
    expected = inputs[:, margin:-margin, margin:-margin] / 127.5 - 1
    np.testing.assert_allclose(response(model, "centre_pixels", inputs), expected, atol=1e-6)
    assert model(inputs).shape == (2, 3)


def test_crop_and_resizing_touch_the_whole_stream_only():
    model, inputs = built(Problem(96, 32), crop=64), patches()
    assert model.get_layer("shrink").output.shape[1:3] == (16, 16)
    assert model.get_layer("centre_pixels").output.shape[1:3] == (32, 32)
    painted = inputs.copy()
    painted[:, :16] = 0
    np.testing.assert_array_equal(model(inputs), model(painted))


def test_the_whole_stream_can_keep_full_resolution():
    names = [layer.name for layer in built(shrink=1).layers]
    assert "shrink" not in names


def test_its_cells_see_the_centre_or_most_of_the_patch():
    field = receptive_field(build_network("two_stream", {}, Problem()))
    assert field.cells == 12 and field.pixels is not None and 56 <= field.pixels <= 96


def test_it_costs_about_what_small_vgg_does():
    ours, theirs = (count_macs(build_network(name, {}, Problem())) for name in ("two_stream", "small_vgg"))
    assert 0.8 < ours / theirs < 1.2


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"depths": [1]}, "widths has 2 stages and depths has 1"),
        ({"centre_depths": [1]}, "centre_widths has 2 stages and centre_depths has 1"),
        ({"shrink": 3}, "shrink"),
        ({"centre_head": "center"}, "centre_head"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters, why):
    with pytest.raises(ConfigRefusal, match=why):
        check_network("two_stream", {**TINY, **parameters})


def test_a_patch_too_small_for_its_stages_is_refused():
    deep = {"centre_widths": [4] * 4, "centre_depths": [1] * 4}
    with pytest.raises(ConfigRefusal, match="sees 6 pixels, too few for 4 stages"):
        built(Problem(18, 18), **deep)


def test_it_learns_a_fixed_batch():
    model = built(dropout=0.0)
    inputs, labels = patches(), np.array([[0.0], [1.0]], "float32")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, run_eagerly=True)
    losses = [model.train_on_batch(inputs, labels) for _ in range(8)]
    assert losses[-1] < losses[0] / 2


def test_weights_survive_a_rebuild(tmp_path):
    model = built()
    model.save_weights(tmp_path / "model.weights.h5")
    again = build_network("two_stream", TINY, Problem())
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model(patches()), again(patches()))
