"""Weights of the classes in the loss, for targets that lie between classes too."""

from __future__ import annotations

import numpy as np
import pytest

from histoblend.training.feed import balanced_class_weights, class_weighted

WEIGHTS = {1: np.array([0.6, 3.0], np.float32), 3: np.array([0.5, 2.0, 1.5], np.float32)}


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Of each class, (n, classes); one logit stands for two classes."""
    both = np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits
    return both - np.log(np.exp(both).sum(axis=1, keepdims=True))


def by_class(targets: np.ndarray) -> np.ndarray:
    return np.hstack([1 - targets, targets]) if targets.shape[1] == 1 else targets


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_loss_is_the_class_weighted_cross_entropy_of_any_target(outputs: int):
    generator = np.random.default_rng(0)
    targets = generator.random((5, outputs)).astype(np.float32)
    targets = targets if outputs == 1 else targets / targets.sum(axis=1, keepdims=True)
    logits = generator.normal(size=(5, outputs))
    found, weights = class_weighted(targets, WEIGHTS[outputs])
    ours = weights * -(by_class(found) * log_probabilities(logits)).sum(axis=1)
    expected = -(WEIGHTS[outputs] * by_class(targets) * log_probabilities(logits)).sum(axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_plain_target_stays_as_it_is_and_weighs_as_its_class():
    found, weights = class_weighted(np.array([[0.0], [1.0]], np.float32), WEIGHTS[1])
    np.testing.assert_array_equal(found, [[0.0], [1.0]])
    np.testing.assert_array_equal(weights, WEIGHTS[1])
    found, weights = class_weighted(np.eye(3, dtype=np.float32), WEIGHTS[3])
    np.testing.assert_array_equal(found, np.eye(3))
    np.testing.assert_array_equal(weights, WEIGHTS[3])


def test_balanced_weights_are_one_on_average_and_inverse_to_frequency():
    labels = np.array([0] * 6 + [1] * 2)
    weights = balanced_class_weights(labels, 2)
    np.testing.assert_allclose(weights[labels].mean(), 1.0)
    assert weights[1] == pytest.approx(3 * weights[0])
