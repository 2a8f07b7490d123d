from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.models.dense import Frame, dense_frame, dense_model
from histoblend.models.outputs import logit_model
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network

SMALL = {"widths": [4, 6], "depths": [1, 1]}
TWO_STREAMS = {"widths": [4], "depths": [1], "centre_widths": [4], "centre_depths": [1]}


def built(name: str, parameters: dict[str, Any], problem: Problem) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = logit_model(build_network(name, parameters, problem))
    generator = np.random.default_rng(3)
    for layer in model.layers:  # statistics as a training would leave them
        if isinstance(layer, keras.layers.BatchNormalization):
            width = layer.moving_mean.shape
            layer.moving_mean.assign(generator.normal(0, 0.3, width))
            layer.moving_variance.assign(generator.uniform(0.5, 2, width))
    return model


def pictures(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "parameters", "problem"),
    [
        ("small_vgg", SMALL, Problem(24, 24)),
        ("small_vgg", SMALL | {"head": "gap", "normalisation": "layer"}, Problem(24, 24, 4)),
        ("small_vgg", SMALL | {"head": "centre_max", "normalisation": "none"}, Problem(24, 24)),
        ("small_vgg", SMALL | {"head": "gap+gmp"}, Problem(24, 24)),
        ("small_vgg", SMALL | {"crop": 32}, Problem(48, 32)),
        ("small_resnet", {"widths": [4, 6, 8], "blocks": [1, 1, 1]}, Problem(24, 24)),
    ],
)
def test_on_exactly_one_patch_it_is_the_network(
    name: str, parameters: dict[str, Any], problem: Problem
) -> None:
    model, patches = built(name, parameters, problem), pictures(3, problem.side)
    dense = dense_model(model, problem.side).predict_on_batch(patches)
    assert dense.shape == (3, 1, 1, problem.outputs)
    np.testing.assert_allclose(dense[:, 0, 0], model.predict_on_batch(patches), rtol=1e-4, atol=1e-5)


def test_far_from_the_border_a_logit_depends_on_its_window_and_its_reach_only() -> None:
    model = built("small_resnet", {"widths": [4, 6, 8], "blocks": [1, 1, 1]}, Problem(24, 24))
    frame = dense_frame(model)
    assert (frame.side, frame.cell) == (24, 4)
    around = frame.reach
    small = pictures(1, 24 + 2 * around)
    large = pictures(1, 24 + 2 * around + 80)
    large[:, 40:-40, 40:-40] = small
    first = around // frame.cell
    inner = dense_model(model, small.shape[1]).predict_on_batch(small)[0, first, first]
    outer = dense_model(model, large.shape[1]).predict_on_batch(large)[0, first + 10, first + 10]
    np.testing.assert_allclose(inner, outer, rtol=1e-4, atol=1e-5)


def test_the_reach_is_not_understated() -> None:
    model = built("small_vgg", {"widths": [4, 6, 8], "depths": [2, 2, 2]}, Problem(24, 24))
    frame = dense_frame(model)
    side = 24 + 2 * frame.reach + 2 * frame.cell
    black, dense, place = pictures(1, side), dense_model(model, side), frame.reach // frame.cell + 1
    before = dense.predict_on_batch(black)[0, place, place]
    black[:, : frame.cell], black[:, -frame.cell :], black[:, :, -frame.cell :] = 0, 0, 255
    np.testing.assert_allclose(dense.predict_on_batch(black)[0, place, place], before, rtol=1e-5)
    assert frame == Frame(24, 4, frame.reach)
    assert frame.reach < 40  # nor wasteful: 2 x (1 + 2 + 4) of convolutions, and cells


@pytest.mark.parametrize(
    ("name", "parameters", "problem", "why"),
    [
        ("course_cnn", {"widths": [4], "dense": 4}, Problem(24, 24), "place of its own"),
        ("small_vgg", SMALL | {"head": "flatten"}, Problem(24, 24), "place of its own"),
        ("small_vgg", SMALL | {"head": "gem"}, Problem(24, 24), "generalised mean"),
        ("small_vgg", SMALL | {"head": "centre_attention"}, Problem(24, 24), "against each other"),
        ("two_stream", TWO_STREAMS, Problem(24, 24), "a stream of its own"),
        ("small_vgg", SMALL | {"normalisation": "group"}, Problem(24, 24), "statistics over the whole patch"),
        ("small_resnet", {"widths": [4], "blocks": [1], "attention": True}, Problem(24, 24), "attention"),
        ("small_vgg", SMALL, Problem(24, 32), "resizes"),
        ("small_vgg", {"widths": [4, 4, 4], "depths": [1, 1, 1]}, Problem(30, 30), "evenly"),
        ("mobilenet_v2", {"weights": "none"}, Problem(32, 32), "keras.applications"),
    ],
)
def test_what_depends_on_the_whole_patch_is_refused_with_its_reason(
    name: str, parameters: dict[str, Any], problem: Problem, why: str
) -> None:
    with pytest.raises(ConfigRefusal, match=why) as refusal:
        dense_model(built(name, parameters, problem), 96)
    assert "leave --dense out" in str(refusal.value)


def test_an_unknown_layer_is_not_trusted() -> None:
    class Shuffled(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    patch = keras.Input((24, 24, 3), dtype="uint8")
    features = keras.layers.Rescaling(1.0)(patch)
    features = keras.layers.GlobalAveragePooling2D()(Shuffled(name="shuffled")(features))
    with pytest.raises(ConfigRefusal, match="shuffled"):
        dense_frame(keras.Model(patch, keras.layers.Dense(1)(features)))
