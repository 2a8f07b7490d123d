"""The fused batch normalisation equals Keras's; the entrance feeds every network the same pixels."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from histoblend.models import layers
from histoblend.models.dihedral_layers import TiedBatchNormalization
from histoblend.models.problem import Problem

SHAPE = (6, 5, 4, 3)
pytestmark = pytest.mark.usefixtures("float32")


@pytest.fixture
def float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy(before)


def twins(**settings):
    """Our layer and Keras's, with the same uneven weights."""
    rng = np.random.default_rng(0)
    pair = [layers.BatchNormalization(**settings), keras.layers.BatchNormalization(**settings)]
    for layer in pair:
        layer.build((None, *SHAPE[1:]))
    values = [rng.uniform(0.5, 2.0, weight.shape).astype("float32") for weight in pair[0].weights]
    for layer in pair:
        layer.set_weights(values)
    return pair


def pixels(offset: float = 3.0) -> np.ndarray:
    return np.random.default_rng(1).normal(offset, 2.0, SHAPE).astype("float32")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.8, "epsilon": 1e-5}, {"scale": False}, {"center": False}]
)
def test_equals_keras(training, settings):
    ours, theirs = twins(**settings)
    result, expected = ours(pixels(), training=training), theirs(pixels(), training=training)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        assert one.name == other.name
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_an_epsilon_that_the_kernel_would_raise_is_kept(training):
    ours, theirs = twins(epsilon=1e-7)
    values = 3 + 1e-3 * pixels(0.0)  # a variance of 4e-6, less than what the kernel would add
    for layer in (ours, theirs):
        layer.moving_variance.assign(np.full(3, 4e-6))
    result, expected = ours(values, training=training), theirs(values, training=training)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_keeps_the_biased_variance_of_small_batches():
    # Six cells: the kernel's Bessel-corrected variance would be a fifth too large.
    layer = layers.BatchNormalization(momentum=0.0)
    values = np.array([0, 1, 2, 3, 4, 5], "float32").reshape(1, 2, 3, 1)
    layer(values, training=True)
    assert float(ops.convert_to_numpy(layer.moving_variance)[0]) == pytest.approx(values.var(), rel=1e-5)


def test_frozen_runs_in_inference_mode():
    ours, theirs = twins()
    ours.trainable = theirs.trainable = False
    before = [weight.numpy() for weight in ours.weights]
    np.testing.assert_allclose(ours(pixels(), training=True), theirs(pixels(), training=True), atol=1e-5)
    for weight, value in zip(ours.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="differentiates with TensorFlow's tape")
@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_keras(training):
    import tensorflow as tf

    gradients = []
    for layer in twins():
        inputs = tf.constant(pixels())
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.sin(layer(inputs, training=training)) * pixels(0.0))
        sources = [inputs, *(weight.value for weight in layer.trainable_weights)]
        gradients.append(tape.gradient(loss, sources))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_statistics_stay_float32_under_bfloat16():
    layer = layers.BatchNormalization(momentum=0.0, dtype="mixed_bfloat16")
    layer(ops.cast(pixels(), "bfloat16"), training=True)
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    rounded = np.asarray(ops.cast(ops.cast(pixels(), "bfloat16"), "float32"))
    np.testing.assert_allclose(layer.moving_mean.numpy(), rounded.mean((0, 1, 2)), atol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_moving_statistics_follow_keras_through_compiled_steps(jit_compile):
    """Several steps of training with different batches, then inference; XLA compiles the kernel too."""
    results = []
    for layer in twins(momentum=0.7):
        model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
        model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=jit_compile)
        for step in range(5):
            model.train_on_batch(pixels(float(step)), pixels(0.0))
        results.append([*(weight.numpy() for weight in layer.weights), np.asarray(model(pixels()))])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_comes_out_in_half_precision_and_near_keras(policy, training):
    half = policy.removeprefix("mixed_")
    ours, theirs = twins(dtype=policy)
    result, expected = (layer(ops.cast(pixels(), half), training=training) for layer in (ours, theirs))
    assert keras.backend.standardize_dtype(result.dtype) == half
    np.testing.assert_allclose(
        ops.cast(result, "float32"), ops.cast(expected, "float32"), atol=0.05 if half == "bfloat16" else 0.01
    )


def test_vectors_and_masks_fall_back_to_keras():
    ours, theirs = layers.BatchNormalization(), keras.layers.BatchNormalization()
    values = pixels().reshape(-1, 3)
    np.testing.assert_allclose(ours(values, training=True), theirs(values, training=True), atol=1e-6)
    mask = np.random.default_rng(2).random(SHAPE[:3]) < 0.5
    ours, theirs = twins()
    masked = [layer(pixels(), training=True, mask=mask) for layer in (ours, theirs)]
    np.testing.assert_allclose(*masked, atol=1e-6)
    assert np.abs(masked[0] - ours(pixels(), training=True)).max() > 1e-2


def operations(layer, channels, training):
    """Names of TensorFlow's operations in the graph of a call."""
    import tensorflow as tf

    layer.build((None, 4, 4, channels))
    call = tf.function(lambda x: layer(x, training=training), autograph=False)
    graph = call.get_concrete_function(tf.TensorSpec((2, 4, 4, channels), "float32")).graph
    return {one.type for one in graph.get_operations()}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks into TensorFlow's graph")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "channels"), [(layers.BatchNormalization, 3), (TiedBatchNormalization, 16)])
def test_the_fused_kernel_is_in_the_graph(kind, channels, training):
    assert "FusedBatchNormV3" in operations(kind(), channels, training)
    assert "FusedBatchNormV3" not in operations(keras.layers.BatchNormalization(), channels, training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [layers.BatchNormalization, TiedBatchNormalization])
def test_other_backends_take_keras_own_computation(kind, training, monkeypatch):
    values = np.random.default_rng(3).normal(1.0, 2.0, (2, 4, 4, 16)).astype("float32")
    fused, plain = kind(), kind()
    expected = fused(values, training=training)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    monkeypatch.setattr(layers.BatchNormalization, "_fused_tensorflow", None)
    monkeypatch.setattr(TiedBatchNormalization, "_fused", None)
    np.testing.assert_allclose(plain(values, training=training), expected, atol=1e-5)
    for one, other in zip(plain.weights, fused.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_entrance_crops_the_centre_and_keeps_values():
    patch = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype="uint8")
    cropped = layers.chained(patch, layers.entrance(Problem(input_size=64), 64))
    np.testing.assert_array_equal(cropped, patch[:, 16:80, 16:80].astype("float32"))


def test_entrance_resizes_with_antialiasing():
    # Alternating columns: sampling without a filter would return black or white, not grey.
    patch = np.zeros((1, 96, 96, 3), "uint8")
    patch[:, :, ::2] = 255
    small = np.asarray(layers.chained(patch, layers.entrance(Problem(input_size=32), None)))
    assert small.shape == (1, 32, 32, 3)
    assert np.abs(small[:, 4:-4, 4:-4] - 127.5).max() < 45


def test_normalisation_is_the_same_in_any_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    patch = np.arange(256, dtype="uint8").repeat(3).reshape(1, 16, 16, 3)
    patch = np.tile(patch, (1, 6, 6, 1))
    unit = layers.chained(patch, [*layers.entrance(Problem(), None), layers.unit_range()])
    np.testing.assert_allclose(unit, patch / 127.5 - 1.0, atol=1e-5)
