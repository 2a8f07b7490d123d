from __future__ import annotations

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.training.depth import let_learn, network_parts, rate_shares


def nested() -> keras.Model:
    """Four layers with weights in a backbone, an attention and a dense layer behind it."""
    pixels = keras.Input((8, 8, 3))
    features = pixels
    for number in range(2):
        features = keras.layers.Conv2D(4, 3, name=f"convolution_{number}")(features)
        features = keras.layers.BatchNormalization(name=f"normalisation_{number}")(features)
    backbone = keras.Model(pixels, features, name="backbone")
    patch = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 1, name="attention")(backbone(keras.layers.Rescaling(2.0)(patch)))
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(patch, keras.layers.Dense(1, name="logit")(pooled))


def flat() -> keras.Model:
    layers = [keras.layers.Conv2D(4, 3, name="first"), keras.layers.Conv2D(4, 3, name="second")]
    end = [keras.layers.Flatten(), keras.layers.Dense(3, name="dense"), keras.layers.Dense(1, name="logit")]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, *end])


def names(layers: tuple[keras.layers.Layer, ...]) -> list[str]:
    return [layer.name for layer in layers]


def test_the_head_is_what_stands_behind_the_backbone():
    parts = network_parts(nested())
    assert names(parts.head) == ["attention", "logit"]
    assert names(parts.body) == ["convolution_0", "normalisation_0", "convolution_1", "normalisation_1"]


def test_without_a_backbone_the_head_is_the_dense_end():
    parts = network_parts(flat())
    assert names(parts.body) == ["first", "second"] and names(parts.head) == ["dense", "logit"]


@pytest.mark.parametrize(("share", "learning"), [(0.0, 0), (0.25, 1), (0.6, 2), (0.9, 4), (1.0, 4)])
def test_the_last_layers_of_the_body_learn(share: float, learning: int):
    model = nested()
    parts = network_parts(model)
    let_learn(parts, share)
    assert [layer.trainable for layer in parts.body] == [False] * (4 - learning) + [True] * learning
    assert all(layer.trainable for layer in parts.head)
    let_learn(parts, 1.0)
    assert model.trainable_variables == list(parts.weights)


def test_rates_fall_geometrically_towards_the_first_layer():
    model = nested()
    parts = network_parts(model)
    shares = rate_shares(parts, 0.16, model.trainable_variables)
    of_layers = dict(zip([v.path.split("/")[-2] for v in model.trainable_variables], shares, strict=True))
    expected = {"convolution_0": 0.16, "normalisation_0": 0.16**0.75, "convolution_1": 0.4}
    assert of_layers == pytest.approx(expected | {"normalisation_1": 0.16**0.25, "attention": 1, "logit": 1})


def test_rates_stay_those_of_their_layers_when_some_are_frozen():
    parts = network_parts(model := nested())
    let_learn(parts, 0.25)
    np.testing.assert_allclose(
        rate_shares(parts, 0.16, model.trainable_variables), [0.16**0.25] * 2 + [1.0] * 4
    )


def test_depth_is_the_order_in_which_layers_are_computed():
    """A shortcut's layer that was made after the branch it goes round comes before what follows both."""
    pixels = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", name="first")(pixels)
    branch = keras.layers.Conv2D(4, 3, padding="same", name="branch")(first)
    last = keras.layers.Conv2D(4, 3, padding="same", name="last")
    shortcut = keras.layers.Conv2D(4, 1, name="shortcut")
    joined = last(keras.layers.Add()([shortcut(first), branch]))
    end = keras.layers.Dense(1, name="logit")(keras.layers.GlobalAveragePooling2D()(joined))
    body = names(network_parts(keras.Model(pixels, end)).body)
    assert body[0] == "first" and body[-1] == "last" and set(body[1:-1]) == {"branch", "shortcut"}


@pytest.mark.parametrize("head", ["centre_attention", "gem"])
def test_what_the_heads_made_is_the_head(head: str):
    keras.config.set_dtype_policy("float32")
    settings = {"widths": [4], "depths": [1], "head": head}
    parts = network_parts(build_network("small_vgg", settings, Problem(24)))
    assert [type(layer).__name__ for layer in parts.body] == ["Conv2D", "BatchNormalization"]
    made = {"centre_attention": ["scores", "centre_attention", "logit"], "gem": ["generalised_mean", "logit"]}
    assert names(parts.head) == made[head]


def test_a_network_that_is_all_head_is_refused():
    parts = network_parts(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)]))
    with pytest.raises(ConfigRefusal, match=r"training\.stages"):
        let_learn(parts, 0.5)
    with pytest.raises(ConfigRefusal, match="first_layer_rate"):
        rate_shares(parts, 0.5, list(parts.weights))
    let_learn(parts, 1.0)
