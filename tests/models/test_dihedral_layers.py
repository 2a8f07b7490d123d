"""Every layer turns with its input exactly as the group says; what would not is refused, and would be noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from histoblend.data.views import ALL_VIEWS, apply_view
from histoblend.errors import ConfigRefusal
from histoblend.models import dihedral_layers
from histoblend.models.dihedral import ORDER, kernel_sources, transformed_map
from histoblend.models.dihedral_layers import (
    GroupConvolution,
    GroupPooling,
    LiftingConvolution,
    TiedBatchNormalization,
    expanded_kernel,
)

PICTURES = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
MAPS = np.random.default_rng(1).normal(size=(2, 8, 8, ORDER * 3))
Transform = Callable[[np.ndarray, int], np.ndarray]


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(before)


def uneven(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer with weights of which no two are alike."""
    generator = np.random.default_rng(2)
    layer.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return layer


def error(layer: Any, values: np.ndarray, before: Transform, after: Transform) -> float:
    """Largest relative deviation, over the views, of layer(turned input) from the turned output."""
    output = np.asarray(layer(values))
    deviations = [
        np.abs(np.asarray(layer(before(values, view))) - after(output, view)).max() for view in ALL_VIEWS
    ]
    return float(max(deviations) / np.abs(output).max())


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (5, 1), (2, 2), (4, 2), (6, 2)])
@pytest.mark.parametrize("kind", [LiftingConvolution, GroupConvolution])
def test_convolutions_turn_with_their_input(kind: Any, size: int, stride: int) -> None:
    lifting = kind is LiftingConvolution
    values, before = (PICTURES, apply_view) if lifting else (MAPS, transformed_map)
    layer = kind(2, size, stride)
    layer(values)
    assert not np.asarray(layer.bias).any()
    assert error(uneven(layer), values, before, transformed_map) < 1e-9
    assert layer(values).shape == (2, 8 // stride, 8 // stride, ORDER * 2)
    assert layer.compute_output_shape((None, 8, 8, values.shape[-1])) == (None, 8 // stride, 8 // stride, 16)


def test_several_maps_count_as_one() -> None:
    first, second = MAPS[..., : ORDER * 1], np.random.default_rng(5).normal(size=(2, 8, 8, ORDER * 2))
    layer = GroupConvolution(2, 3)
    layer([first, second])
    uneven(layer)
    output = np.asarray(layer([first, second]))
    for view in ALL_VIEWS:
        turned = layer([transformed_map(first, view), transformed_map(second, view)])
        np.testing.assert_allclose(turned, transformed_map(output, view), rtol=1e-9, atol=1e-9)
    kernel, bias = layer.get_weights()
    total = 0
    for part, channels in ((first, slice(0, 8)), (second, slice(8, 24))):
        alone = GroupConvolution(2, 3, use_bias=False)
        alone(part)
        alone.set_weights([kernel[:, :, channels]])
        total = total + np.asarray(alone(part))
    np.testing.assert_allclose(output, total + np.tile(bias, ORDER), rtol=1e-9)


def test_the_expanded_kernel_holds_each_value_of_the_one_kernel_eight_times() -> None:
    layer = GroupConvolution(2, 3)
    layer(MAPS)
    kernel, full = np.asarray(layer.kernel), np.asarray(layer.full_kernel())
    np.testing.assert_array_equal(np.sort(np.tile(kernel.ravel(), ORDER)), np.sort(full.ravel()))
    np.testing.assert_array_equal(full[..., :2], kernel)  # the first orientation is the kernel itself
    np.testing.assert_array_equal(full, layer.expanded_values())


def test_expanding_is_exact_in_bfloat16() -> None:
    kernel = ops.cast(np.random.default_rng(0).normal(size=(3, 3, 16, 4)), "bfloat16")
    full = expanded_kernel(kernel, kernel_sources(3, ORDER))
    wide = expanded_kernel(ops.cast(kernel, "float32"), kernel_sources(3, ORDER))
    np.testing.assert_array_equal(ops.cast(full, "float32"), wide)


def test_a_wrong_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(size: int, orientations: int) -> np.ndarray:
        return kernel_sources(size, orientations)[:, [1, 0, *range(2, ORDER)]]

    monkeypatch.setattr(dihedral_layers, "kernel_sources", wrong)
    assert error(GroupConvolution(2), MAPS, transformed_map, transformed_map) > 1e-3
    assert error(LiftingConvolution(2), PICTURES, apply_view, transformed_map) > 1e-3


@pytest.mark.parametrize(("size", "stride", "side"), [(3, 2, 8), (1, 2, 8), (2, 1, 8), (4, 2, 9), (2, 2, 25)])
def test_windows_that_are_not_aligned_are_refused(size: int, stride: int, side: int) -> None:
    with pytest.raises(ConfigRefusal, match=f"windows of {size} cells every {stride} on a map of {side}"):
        GroupConvolution(2, size, stride).build((None, side, side, ORDER))


def test_they_are_refused_for_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dihedral_layers, "require_aligned", lambda *arguments: None)
    assert error(GroupConvolution(2, 3, 2), MAPS, transformed_map, transformed_map) > 1e-3
    assert error(GroupConvolution(2, 2, 1), MAPS, transformed_map, transformed_map) > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_the_tied_normalisation_turns_with_its_input(training: bool) -> None:
    layer = TiedBatchNormalization(momentum=1.0)
    layer(MAPS)
    uneven(layer)
    assert error(lambda x: layer(x, training=training), MAPS, transformed_map, transformed_map) < 1e-9


@pytest.mark.parametrize("method", ["mean", "max"])
def test_pooling_over_orientations_leaves_an_ordinary_map_that_turns(method: str) -> None:
    layer = GroupPooling(method)
    assert error(layer, MAPS, transformed_map, apply_view) < 1e-9
    split = MAPS.reshape(2, 8, 8, ORDER, 3)
    expected = split.mean(axis=3) if method == "mean" else split.max(axis=3)
    np.testing.assert_allclose(layer(MAPS), expected, rtol=1e-12)


def naive(values: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Statistics of each field over pictures, cells and orientations at once."""
    split = values.astype(np.float64).reshape(*values.shape[:3], ORDER, -1)
    mean, variance = split.mean(axis=(0, 1, 2, 3)), split.var(axis=(0, 1, 2, 3))
    return ((split - mean) / np.sqrt(variance + 1e-3) * gamma + beta).reshape(values.shape)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_the_tied_normalisation_equals_the_naive_one(dtype: str) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16" if dtype == "bfloat16" else dtype)
    values = MAPS * np.linspace(0.2, 3, MAPS.shape[-1]) + np.linspace(-2, 2, MAPS.shape[-1])
    values = np.asarray(ops.cast(ops.cast(values, dtype), "float64"))
    layer = TiedBatchNormalization(momentum=0.0)
    layer(values.astype("float32"))
    gamma, beta = np.array([0.5, 1, 2]), np.array([-1, 0, 1])
    layer.set_weights([gamma, beta, np.zeros(3), np.ones(3)])
    output = ops.cast(layer(ops.cast(values, dtype), training=True), "float64")
    tolerance = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 3e-2}[dtype]
    np.testing.assert_allclose(output, naive(values, gamma, beta), atol=tolerance)
    split = values.reshape(-1, ORDER, 3)
    np.testing.assert_allclose(layer.moving_mean, split.mean(axis=(0, 1)), atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, split.var(axis=(0, 1)), rtol=1e-5)


def test_a_frozen_normalisation_keeps_its_statistics() -> None:
    keras.config.set_dtype_policy("float32")
    layer = TiedBatchNormalization()
    layer(MAPS)
    uneven(layer).trainable = False
    before = layer.get_weights()
    np.testing.assert_allclose(layer(MAPS, training=True), layer(MAPS, training=False), rtol=1e-6)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("missing", ["scale", "center"])
def test_a_tied_normalisation_has_scale_and_offset(missing: str) -> None:
    with pytest.raises(ValueError, match="must be True"):
        TiedBatchNormalization(**{missing: False})


def test_compiled_by_xla_the_tied_normalisation_trains_as_it_does_without() -> None:
    keras.config.set_dtype_policy("float32")
    trained = []
    for jit_compile in (False, True):
        model = keras.Sequential([keras.Input(MAPS.shape[1:]), TiedBatchNormalization(momentum=0.7)])
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        for step in range(3):
            model.train_on_batch(MAPS + step, np.sin(MAPS))
        trained.append(model.get_weights())
    for plain, compiled in zip(*trained, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="differentiates with TensorFlow's tape")
def test_gradients_of_the_fused_normalisation_equal_those_of_the_naive_one() -> None:
    import tensorflow as tf

    values = MAPS * np.linspace(0.2, 3, MAPS.shape[-1]) + np.linspace(-2, 2, MAPS.shape[-1])
    upstream = np.random.default_rng(7).normal(size=MAPS.shape)
    gradients = []
    for dtype in ("float32", "float64"):  # fused, and Keras's own computation of the reshaped map
        layer = TiedBatchNormalization(dtype=dtype)
        inputs = tf.constant(values, dtype)
        layer(inputs)
        layer.set_weights([np.array([0.5, 1, 2]), np.array([-1, 0, 1]), np.zeros(3), np.ones(3)])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.sin(layer(inputs, training=True)) * upstream.astype(dtype))
        gradients.append(tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value]))
    for fused, plain in zip(*gradients, strict=True):
        np.testing.assert_allclose(fused, plain, atol=2e-4)
    assert np.abs(gradients[1][0]).max() > 0.5
