from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from histoblend.config_training import Optimizer
from histoblend.training.optimizers import TabledRate, build_optimizer

RATE = 0.1


def built(ema: float = 0.0, rate: TabledRate | float = RATE, **settings: Any) -> keras.optimizers.Optimizer:
    return build_optimizer(Optimizer(**({"name": "sgd", "momentum": 0.0} | settings)), rate, ema)


def variable(value: float = 1.0) -> keras.Variable:
    return keras.Variable(np.full(2, value, np.float32))


def step(optimizer: keras.optimizers.Optimizer, gradient: list[float], on: keras.Variable) -> np.ndarray:
    optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, np.float32))], [on])
    return np.asarray(on)


def test_plain_descent():
    np.testing.assert_allclose(step(built(), [1.0, -2.0], variable()), [0.9, 1.2], rtol=1e-6)


def test_momentum_accumulates():
    weights, optimizer = variable(), built(momentum=0.9)
    step(optimizer, [1.0, 1.0], weights)
    np.testing.assert_allclose(step(optimizer, [1.0, 1.0], weights), [1 - 0.1 - 0.19] * 2, rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_first_step_of_adam_is_the_rate_whatever_the_gradient(name: str):
    weights = step(built(name=name, momentum=0.9), [5.0, -0.01], variable())
    np.testing.assert_allclose(weights, [0.9, 1.1], rtol=1e-3)


def test_rate_follows_its_table_and_stays_at_the_last_value():
    table = np.array([0.1, 0.2, 0.4], np.float32)
    weights, optimizer = variable(0.0), built(rate=TabledRate(table))
    taken = []
    for _ in range(5):
        before = np.asarray(weights)[0]
        taken.append(before - step(optimizer, [1.0, 1.0], weights)[0])
    np.testing.assert_allclose(taken, [0.1, 0.2, 0.4, 0.4, 0.4], rtol=1e-5)


def test_table_survives_its_configuration():
    table = TabledRate(np.array([0.1, 0.2], np.float32))
    again = TabledRate.from_config(table.get_config())
    assert float(again(1)) == float(table(1))


def test_moving_average_is_that_of_the_formula():
    weights, optimizer = variable(), built(ema=0.9)
    average = None
    for gradient in (1.0, 2.0, -4.0):
        value = step(optimizer, [gradient, 0.0], weights)[0]
        average = value if average is None else 0.9 * average + 0.1 * value
    assert np.asarray(weights)[0] != pytest.approx(average)
    optimizer.finalize_variable_values([weights])
    assert np.asarray(weights)[0] == pytest.approx(average, rel=1e-5)
    optimizer.finalize_variable_values([weights])  # doing it twice changes nothing
    assert np.asarray(weights)[0] == pytest.approx(average, rel=1e-5)


def test_without_an_average_the_raw_weights_stay():
    weights, optimizer = variable(), built()
    raw = step(optimizer, [1.0, 1.0], weights)
    optimizer.finalize_variable_values([weights])
    np.testing.assert_array_equal(np.asarray(weights), raw)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_decay_takes_kernels_and_leaves_bias_and_normalisation(name: str):
    """Without gradient only the decay moves a weight, by rate x decay, whatever the optimizer."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(2, 1, bias_initializer="ones"),
            keras.layers.SeparableConv2D(2, 1, bias_initializer="ones"),
            keras.layers.BatchNormalization(beta_initializer="ones"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, bias_initializer="ones"),
        ]
    )
    weights = model.trainable_variables
    before = [np.asarray(one).copy() for one in weights]
    optimizer = built(name=name, weight_decay=0.5)
    optimizer.apply([keras.ops.zeros_like(one) for one in weights], weights)
    decayed = {one.name for one, old in zip(weights, before, strict=True) if not np.allclose(one, old)}
    kept = {one.name for one, old in zip(weights, before, strict=True) if np.allclose(one, old)}
    assert decayed == {"kernel", "depthwise_kernel", "pointwise_kernel"}
    assert kept == {"bias", "gamma", "beta"}
    for one, old in zip(weights, before, strict=True):
        if "kernel" in one.name:
            np.testing.assert_allclose(np.asarray(one), old * (1 - RATE * 0.5), rtol=1e-5)


def test_no_decay_unless_asked_for():
    weights = step(built(name="adamw"), [0.0, 0.0], variable())
    np.testing.assert_array_equal(weights, [1.0, 1.0])


def test_clipping_is_by_the_norm_of_all_gradients_together():
    optimizer, weights = built(clip_norm=1.0), [variable(0.0), variable(0.0)]
    gradients = [np.array([3.0, 0.0], np.float32), np.array([0.0, 4.0], np.float32)]
    optimizer.apply([keras.ops.convert_to_tensor(one) for one in gradients], weights)
    np.testing.assert_allclose(np.asarray(weights[0]), [-0.06, 0.0], rtol=1e-5)
    np.testing.assert_allclose(np.asarray(weights[1]), [0.0, -0.08], rtol=1e-5)


def stepped(name: str, shares: list[float] | None, decay: float = 0.5) -> list[np.ndarray]:
    """Two kernels and a bias after three steps with the same gradients."""
    settings = Optimizer(name=name, momentum=0.9, weight_decay=decay, clip_norm=1.0)
    weights = [keras.Variable(np.ones(2, np.float32), name=one) for one in ("kernel", "kernel", "bias")]
    optimizer = build_optimizer(settings, TabledRate(np.array([0.1, 0.2, 0.05])), 0.0, shares)
    optimizer.build(weights)
    for gradient in ([1.0, -2.0], [0.5, 0.1], [-3.0, 1.0]):
        optimizer.apply(
            [keras.ops.convert_to_tensor(np.array(gradient, np.float32)) for _ in weights], weights
        )
    return [np.array(one) for one in weights]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_equal_shares_are_the_plain_optimizer(name: str):
    for ours, plain in zip(stepped(name, [1.0, 1.0, 1.0]), stepped(name, None), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_share_scales_the_update_of_its_weight_and_of_no_other(name: str):
    """Without decay three steps with these gradients go a tenth as far."""
    whole, tenth = stepped(name, [1.0, 1.0, 1.0], 0.0), stepped(name, [0.1, 1.0, 0.0], 0.0)
    np.testing.assert_allclose(tenth[0] - 1, 0.1 * (whole[0] - 1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(tenth[1], whole[1])
    np.testing.assert_array_equal(tenth[2], [1.0, 1.0])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_share_scales_the_decay_too(name: str):
    """Else the decay would outweigh what the first layers learn."""
    settings = Optimizer(name=name, weight_decay=0.5)
    weights = [keras.Variable(np.ones(1, np.float32), name=one) for one in ("kernel", "kernel", "bias")]
    optimizer = build_optimizer(settings, 0.1, 0.0, [1.0, 0.2, 1.0])
    optimizer.apply([keras.ops.zeros((1,))] * 3, weights)
    np.testing.assert_allclose([float(one[0]) for one in weights], [0.95, 0.99, 1.0], rtol=1e-6)


def test_shares_hold_under_loss_scaling_and_averaging():
    """Two steps: after one the average is the weight itself. Raw 0.8 and 0.98; half of each step is averaged away."""
    inner = build_optimizer(Optimizer(name="sgd", momentum=0.0), 0.1, 0.5, [1.0, 0.1])
    optimizer = keras.optimizers.LossScaleOptimizer(inner)
    weights = [variable(), variable()]
    optimizer.build(weights)
    scale = float(optimizer.dynamic_scale)
    for _ in range(2):
        optimizer.apply([keras.ops.ones((2,)) * scale] * 2, weights)
    np.testing.assert_allclose([one[0] for one in map(np.asarray, weights)], [0.8, 0.98], rtol=1e-6)
    optimizer.finalize_variable_values(weights)
    np.testing.assert_allclose([one[0] for one in map(np.asarray, weights)], [0.85, 0.985], rtol=1e-6)
