"""Normalisation statistics belong to the final weights, however short the run was."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from histoblend.models.layers import BatchNormalization
from histoblend.training.normalisation import has_statistics, recompute_statistics


def striped(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches whose stripes run across (label 1) or down (label 0), under noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    stripes = 60.0 * (np.arange(16) % 4 < 2)
    images = np.where(labels[:, None, None] == 1, stripes[None, :, None], stripes[None, None, :])
    images = images[..., None] + rng.normal(150, 25, (count, 16, 16, 3))
    return np.clip(images, 0, 255).astype("uint8"), labels.astype("float32")[:, None]


def network(layer_type: type, momentum: float = 0.99) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    features = keras.layers.Rescaling(1 / 255.0, dtype="float32")(inputs)
    for width in (8, 8):
        features = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(features)
        features = keras.layers.ReLU()(layer_type(momentum=momentum)(features))
    features = keras.layers.GlobalAveragePooling2D()(features)
    features = keras.layers.Dropout(0.1)(features)
    return keras.Model(inputs, keras.layers.Dense(1)(features))


def separation(model: keras.Model) -> float:
    images, labels = striped(64, 9)
    logits = np.asarray(model(images, training=False))[:, 0]
    return float(((logits > 0) == (labels[:, 0] == 1)).mean())


@pytest.mark.parametrize("layer_type", [BatchNormalization, keras.layers.BatchNormalization])
def test_ten_steps_with_momentum_99(layer_type):
    model = network(layer_type)
    images, labels = striped(320, 1)
    model.compile(keras.optimizers.Adam(0.03), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(images, labels, batch_size=32, epochs=1, verbose=0, shuffle=False)
    assert separation(model) < 0.7  # the trap: useless at inference, and no warning
    trained = [weight.numpy() for weight in model.trainable_weights]
    recompute_statistics(model, np.split(images, 5))
    assert separation(model) > 0.95
    for before, after in zip(trained, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(before, after.numpy())


@pytest.mark.parametrize("layer_type", [BatchNormalization, keras.layers.BatchNormalization])
def test_statistics_are_the_mean_over_the_batches(layer_type):
    inputs = keras.Input((4, 4, 3), dtype="uint8")
    layer = layer_type(momentum=0.5)
    model = keras.Model(inputs, layer(keras.layers.Rescaling(1.0, dtype="float32")(inputs)))
    batches = list(np.random.default_rng(0).integers(0, 256, (3, 6, 4, 4, 3), dtype="uint8"))
    recompute_statistics(model, batches)
    mean = np.mean([batch.mean((0, 1, 2)) for batch in batches], axis=0)
    variance = np.mean([batch.var((0, 1, 2)) for batch in batches], axis=0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-4)
    assert layer.momentum == 0.5


def test_nested_models_are_covered_and_frozen_layers_are_not():
    inner = network(BatchNormalization)
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    outer = keras.Model(inputs, inner(inputs))
    first, second = [layer for layer in inner.layers if isinstance(layer, BatchNormalization)]
    first.trainable = False
    before = first.moving_variance.numpy(), second.moving_variance.numpy()
    recompute_statistics(outer, [striped(8, 0)[0]])
    np.testing.assert_array_equal(before[0], first.moving_variance.numpy())
    assert not np.allclose(before[1], second.moving_variance.numpy())


def test_random_generators_do_not_move():
    model = network(BatchNormalization)
    states = [v for v in model.non_trainable_variables if "seed" in v.path]
    before = [state.numpy() for state in states]
    assert before
    recompute_statistics(model, [striped(8, 0)[0]])
    for value, state in zip(before, states, strict=True):
        np.testing.assert_array_equal(value, state.numpy())


def test_momentum_comes_back_after_a_broken_feed():
    model = network(BatchNormalization, momentum=0.7)

    def broken():
        yield striped(8, 0)[0]
        raise OSError("a worker died")

    with pytest.raises(OSError, match="a worker died"):
        recompute_statistics(model, broken())
    assert {layer.momentum for layer in model.layers if isinstance(layer, BatchNormalization)} == {0.7}


def test_no_batch_is_an_error_and_no_normalisation_is_none():
    with pytest.raises(ValueError, match="at least one batch"):
        recompute_statistics(network(BatchNormalization), [])
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    assert not has_statistics(plain)
    recompute_statistics(plain, [])
