"""Heads look where the label lives."""

from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest

from histoblend.config_training import Optimizer
from histoblend.models import heads, parameters
from histoblend.models.pooling import CentreAttention, GeneralisedMean, coverage
from histoblend.models.problem import Field, Problem
from histoblend.models.registry import build_network
from histoblend.training.optimizers import build_optimizer


@pytest.mark.parametrize(
    ("cells", "field", "expected"),
    [(96, 96, (32, 64)), (12, 96, (4, 8)), (3, 96, (1, 2)), (6, 96, (2, 4)), (5, 96, (1, 4)), (8, 64, (2, 6)),
     (4, 32, (0, 4)), (7, 72, (1, 6)), (1, 96, (0, 1)), (2, 96, (0, 2))],
)  # fmt: skip
def test_centre_cells(cells, field, expected):
    assert heads.centre_cells(cells, Field(field)) == expected


@pytest.mark.parametrize("field", range(32, 97, 2))
@pytest.mark.parametrize("cells", [1, 2, 3, 5, 6, 7, 11, 12, 24])
def test_centre_cells_cover_the_label_and_no_spare_ring(cells, field):
    first, last = heads.centre_cells(cells, Field(field))
    left, right = (field - 32) / 2, (field + 32) / 2
    assert first * field / cells <= left and last * field / cells >= right
    assert (first + 1) * field / cells > left


def on_map(name: str, shape: tuple[int, ...], field: int = 96, dtype: str = "float32") -> keras.Model:
    """A head alone, on a map of that shape (h, w, c); learned scores are not zero, as after some training."""
    inputs = keras.Input(shape, dtype=dtype)
    model = keras.Model(inputs, heads.HEADS[name](inputs, Field(field)))
    generator = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(generator.normal(size=layer.kernel.shape))
    return model


def vector(name: str, features: np.ndarray, field: int = 96) -> np.ndarray:
    return np.asarray(on_map(name, features.shape[1:], field)(features))


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_centre_holds_whole_and_centre_means():
    features = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    whole, inner = features.mean((1, 2)), features[:, 2:4, 2:4].mean((1, 2))
    np.testing.assert_allclose(vector("centre", features), np.hstack([whole, inner]), atol=1e-6)
    top = features[:, 2:4, 2:4].max((1, 2))
    np.testing.assert_allclose(vector("centre_max", features), np.hstack([whole, inner, top]), atol=1e-6)
    np.testing.assert_allclose(vector("gap", features), whole, atol=1e-6)
    np.testing.assert_array_equal(vector("flatten", features), features.reshape(2, -1))


def test_what_lies_outside_does_not_reach_the_centre():
    features = np.zeros((1, 6, 6, 2), "float32")
    features[:, 0, 0] = 36.0
    np.testing.assert_allclose(vector("centre", features), [[1, 1, 0, 0]], atol=1e-6)


def test_declared_heads_are_those_of_the_table():
    assert set(get_args(parameters.Head)) == set(heads.HEADS)


INVARIANT = [name for name in heads.HEADS if name != "flatten"]


@pytest.mark.parametrize("name", INVARIANT)
@pytest.mark.parametrize("cells", [1, 2, 3, 5, 6, 12])
def test_pooled_heads_are_invariant_under_the_dihedral_group(name, cells):
    features = normal(2, cells, cells, 3)
    model = on_map(name, features.shape[1:])
    expected = np.asarray(model(features))
    for view in range(8):
        turned = np.rot90(features, view % 4, axes=(1, 2))
        turned = turned[:, :, ::-1] if view >= 4 else turned
        np.testing.assert_allclose(expected, model(turned.copy()), atol=2e-6)


def test_flatten_is_not_invariant():
    features = normal(2, 3, 3, 3)
    assert not np.allclose(vector("flatten", features), vector("flatten", features[:, ::-1].copy()))


@pytest.mark.parametrize("name", heads.HEADS)
def test_on_a_single_cell_every_head_repeats_it(name):
    features = np.abs(normal(2, 1, 1, 3)) + 0.1
    result = vector(name, features).reshape(2, -1, 3)
    np.testing.assert_allclose(result, np.broadcast_to(features[:, 0], result.shape), rtol=1e-5)


def test_mean_and_maximum():
    features = normal(2, 3, 3, 4)
    expected = np.hstack([features.mean((1, 2)), features.max((1, 2))])
    np.testing.assert_allclose(vector("gap+gmp", features), expected, atol=1e-6)


def generalised(features: np.ndarray, exponent: float) -> np.ndarray:
    layer = GeneralisedMean(exponent)
    return np.asarray(layer(features))


def test_a_generalised_mean_lies_between_mean_and_maximum():
    features = np.abs(normal(2, 6, 6, 4))
    mean, maximum = features.mean((1, 2)), features.max((1, 2))
    np.testing.assert_allclose(generalised(features, 1.0), mean, rtol=1e-5)
    np.testing.assert_allclose(
        generalised(features, 3.0), (features.astype("float64") ** 3).mean((1, 2)) ** (1 / 3), rtol=1e-5
    )
    np.testing.assert_allclose(generalised(features, 1000.0), maximum, rtol=0.005)
    assert (generalised(features, 2.0) < generalised(features, 4.0)).all()
    np.testing.assert_allclose(vector("gem", features), generalised(features, 3.0), rtol=1e-6)


def test_a_generalised_mean_counts_negative_activations_as_zero():
    features = normal(2, 6, 6, 4)
    np.testing.assert_allclose(
        generalised(features, 3.0), generalised(np.maximum(features, 0), 3.0), rtol=1e-6
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="differentiates with TensorFlow's tape")
@pytest.mark.parametrize("exponent", [1.0, 3.0, 60.0])
@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 1e30])
def test_a_generalised_mean_and_its_gradients_are_finite_at_any_scale(exponent, scale):
    import tensorflow as tf

    layer, features = GeneralisedMean(exponent), tf.constant(normal(2, 6, 6, 4) * np.float32(scale))
    with tf.GradientTape() as tape:
        tape.watch(features)
        result = layer(features)
        loss = tf.reduce_sum(result / np.float32(max(scale, 1e-6)))
    assert np.isfinite(result).all()
    for gradient in tape.gradient(loss, [features, layer.exponent.value]):
        assert np.isfinite(gradient).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="differentiates with TensorFlow's tape")
def test_a_generalised_mean_has_the_gradients_of_its_formula():
    import tensorflow as tf

    layer, features = GeneralisedMean(3.0), tf.constant(np.abs(normal(2, 4, 4, 3)) + 0.05)
    exponent = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([features, exponent])
        ours = tf.reduce_sum(tf.sin(layer(features)))
        powers = tf.reduce_mean(features**exponent, axis=(1, 2)) ** (1 / exponent)
        theirs = tf.reduce_sum(tf.sin(powers))
    found = tape.gradient(ours, [features, layer.exponent.value])
    for one, other in zip(found, tape.gradient(theirs, [features, exponent]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_exponent_never_falls_below_the_mean():
    # Pushed down at every step, it stops at one, and comes back when it is pushed up.
    layer = GeneralisedMean(1.5)
    layer.build((None, 2, 2, 1))
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply([np.float32(3.0)], [layer.exponent])
    assert float(layer.exponent) == 1.0
    optimizer.apply([np.float32(-0.25)], [layer.exponent])
    assert float(layer.exponent) == 1.25


@pytest.mark.parametrize(
    ("cells", "share", "expected"),
    [(3, 1 / 3, [0, 1, 0]), (6, 1 / 3, [0, 0, 1, 1, 0, 0]), (1, 1 / 3, [1 / 3]), (2, 1 / 3, [1 / 3, 1 / 3]),
     (5, 1 / 3, [0, 1 / 3, 1, 1 / 3, 0]), (4, 1.0, [1, 1, 1, 1])],
)  # fmt: skip
def test_coverage_of_cells_by_the_labelled_centre(cells, share, expected):
    np.testing.assert_allclose(coverage(cells, share), expected, atol=1e-12)
    assert coverage(cells, share).sum() == pytest.approx(cells * share)


@pytest.mark.parametrize("cells", [3, 6, 7, 12])
def test_a_prior_is_exactly_symmetric(cells):
    axis = coverage(cells, 32 / 97)
    np.testing.assert_array_equal(axis, axis[::-1])


def attended(features: np.ndarray, scores: np.ndarray, strength: float) -> np.ndarray:
    return np.asarray(CentreAttention(1 / 3, strength)([features, scores]))


def test_attention_without_scores_and_prior_is_the_mean():
    features = normal(2, 6, 6, 4)
    scores = np.zeros((2, 6, 6, 1), "float32")
    np.testing.assert_allclose(attended(features, scores, 0.0), features.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(attended(features, scores + 9, 0.0), features.mean((1, 2)), atol=1e-6)


def test_at_first_half_of_the_attention_lies_on_the_labelled_centre():
    features = normal(2, 6, 6, 4)
    inputs = keras.Input((6, 6, 4))
    untrained = keras.Model(inputs, heads.centre_attention(inputs, Field()))
    inner = features[:, 2:4, 2:4].sum((1, 2))
    outer = features.sum((1, 2)) - inner
    np.testing.assert_allclose(untrained(features), inner / 8 + outer / 64, atol=1e-6)


def test_attention_follows_its_scores_and_its_prior():
    features, scores = normal(2, 6, 6, 4), np.zeros((2, 6, 6, 1), "float32")
    scores[:, 5, 0] = 80.0
    np.testing.assert_allclose(attended(features, scores, 0.0), features[:, 5, 0], atol=1e-5)
    centre = features[:, 2:4, 2:4].mean((1, 2))
    np.testing.assert_allclose(attended(features, scores * 0, 80.0), centre, atol=1e-5)


def test_attention_survives_scores_beyond_the_range_of_an_exponential():
    scores = normal(2, 6, 6, 1) * 1e4
    assert np.isfinite(attended(normal(2, 6, 6, 4), scores, 1.0)).all()


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", heads.HEADS)
@pytest.mark.parametrize(
    ("precision", "expected"),
    [("mixed_bfloat16", "float32"), ("mixed_float16", "float32"), ("float64", "float64")],
)
def test_vectors_are_float32_or_better_under_any_precision(name, precision, expected, policy):
    policy(precision)
    dtype = keras.config.dtype_policy().compute_dtype
    features = keras.ops.cast(np.abs(normal(2, 6, 6, 3)), dtype)
    result = on_map(name, (6, 6, 3), dtype=dtype)(features)
    assert keras.backend.standardize_dtype(result.dtype) == expected
    policy("float32")
    exact = on_map(name, (6, 6, 3))(keras.ops.cast(features, "float32"))
    np.testing.assert_allclose(result, exact, rtol=2e-5, atol=1e-6)


TINY: dict[str, tuple[dict[str, object], int]] = {
    "small_vgg": ({"widths": [4, 4], "depths": [1, 1]}, 24),
    "small_resnet": ({"widths": [4, 4], "blocks": [1, 1]}, 21),
    "two_stream": ({"widths": [4, 4], "depths": [1, 1], "centre_widths": [4], "centre_depths": [1]}, 24),
    "mobilenet_v2": ({"weights": "none"}, 64),
    "convnext_tiny": ({"weights": "none"}, 32),
}
SCRATCH = ("small_vgg", "small_resnet", "two_stream")
COMBINATIONS = [
    *((network, head) for network in SCRATCH for head in heads.HEADS),
    *(pytest.param("mobilenet_v2", head, marks=pytest.mark.slow) for head in heads.HEADS),
    pytest.param("convnext_tiny", "gem", marks=pytest.mark.slow),  # its map is half negative
]


@pytest.mark.parametrize(("network", "head"), COMBINATIONS)
def test_every_head_stands_on_every_network(network, head, policy):
    policy("mixed_bfloat16")
    parameters_, side = TINY[network]
    keras.utils.set_random_seed(1)
    model = build_network(network, {**parameters_, "head": head, "dropout": 0.0}, Problem(side, side))
    patches = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    logits = model(patches)
    assert logits.shape == (4, 1) and keras.backend.standardize_dtype(logits.dtype) == "float32"
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, run_eagerly=True)
    before = [np.array(one) for one in model.trainable_variables]
    assert np.isfinite(model.train_on_batch(patches, np.array([[0.0], [1.0], [0.0], [1.0]], "float32")))
    after = [np.array(one) for one in model.trainable_variables]
    assert all(np.isfinite(one).all() for one in after)
    moved = {
        variable.name
        for variable, old, new in zip(model.trainable_variables, before, after, strict=True)
        if not np.array_equal(old, new)
    }
    learned = {"gem": {"exponent"}, "centre_attention": {"kernel", "strength"}}.get(head, {"kernel"})
    assert learned <= moved


@pytest.mark.parametrize("head", ["gem", "centre_attention"])
def test_what_a_head_learns_beside_kernels_does_not_decay(head):
    model = build_network("small_vgg", {**TINY["small_vgg"][0], "head": head}, Problem(24, 24))
    weights = [one for one in model.trainable_variables if one.name in ("exponent", "strength")]
    before = [float(one) for one in weights]
    optimizer = build_optimizer(Optimizer(weight_decay=0.5), 0.1, 0.0)
    optimizer.apply([keras.ops.zeros_like(one) for one in weights], weights)
    assert len(weights) == 1 and [float(one) for one in weights] == before


@pytest.mark.parametrize("head", ["gem", "centre_attention"])
def test_learned_heads_survive_a_weights_round_trip(head, tmp_path):
    parameters_ = {**TINY["small_vgg"][0], "head": head}
    patches = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), dtype=np.uint8)
    model = build_network("small_vgg", parameters_, Problem(24, 24))
    for variable in model.trainable_variables:
        variable.assign(variable + 0.125)
    model.save_weights(tmp_path / "model.weights.h5")
    again = build_network("small_vgg", parameters_, Problem(24, 24))
    assert not np.allclose(model(patches), again(patches))
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model(patches), again(patches))
    clone = keras.Model.from_config(model.get_config())
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(patches), clone(patches))


def test_means_are_taken_in_float32():
    features = keras.ops.cast(np.full((1, 96, 96, 1), 1.0078125), "bfloat16")
    inputs = keras.Input((96, 96, 1), dtype="bfloat16")
    mean = keras.Model(inputs, heads.pooled(inputs, Field()))(features)
    assert keras.backend.standardize_dtype(mean.dtype) == "float32"
    assert float(mean[0, 0]) == pytest.approx(1.0078125, abs=1e-6)
