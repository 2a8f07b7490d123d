from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from histoblend.blending.mixture import normal_scores
from histoblend.blending.rules import RULES
from histoblend.blending.stacking import fitted, stacked
from histoblend.blending.training import Training

ROWS = 6000


def training(true: list[float], intercept: float = 0.0) -> Training:
    """Labels by a logistic model of standard normal members, which are their own normal scores but for noise."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(ROWS, len(true), 1))
    chance = 1 / (1 + np.exp(-(logits[..., 0] @ np.array(true) + intercept)))
    labels = (generator.random(ROWS) < chance).astype(np.int64)
    return Training(tuple("abcd"[: len(true)]), logits, labels, generator.integers(0, 2, ROWS))


def test_stacking_recovers_the_weights_it_was_drawn_by():
    found = stacked(training([2.0, 1.0, 0.0], intercept=-0.7), penalty=1e-4, lowest=None)
    np.testing.assert_allclose(found.weights * found.slope, [2.0, 1.0, 0.0], atol=0.12)
    assert found.intercept == pytest.approx(-0.7, abs=0.1)


def test_no_weight_lies_below_zero_where_that_is_asked_for():
    one = training([2.0, -1.0])
    assert RULES["stacking_l2"].learn(one).weights[1] < -0.2
    np.testing.assert_array_equal(RULES["stacking_nonnegative"].learn(one).weights, [1.0, 0.0])


def test_where_nothing_can_be_learned_the_weights_are_equal():
    found = RULES["stacking_nonnegative"].learn(training([-2.0, -1.0]))
    np.testing.assert_array_equal(found.weights, [0.5, 0.5])
    assert found.slope == 1.0


def test_it_is_the_logistic_regression_of_scikit_learn():
    """Theirs: sum of log-losses times C beside half the squares; ours: mean, beside half the squares times p."""
    one = training([1.0, 0.5, 0.2])
    features = normal_scores(one.logits[..., 0], one.groups)
    theirs = LogisticRegression(C=1 / (0.01 * ROWS), tol=1e-8).fit(features, one.labels)
    ours = fitted(features, one.labels, 0.01, None)
    np.testing.assert_allclose(ours, [theirs.intercept_[0], *theirs.coef_[0]], atol=1e-3)


def test_the_penalty_draws_twins_together():
    one = training([2.0])
    twins = Training(("a", "b"), np.repeat(one.logits, 2, axis=1), one.labels, one.groups)
    np.testing.assert_allclose(RULES["stacking_l2"].learn(twins).weights, [0.5, 0.5], atol=1e-4)


def test_a_monotone_change_of_a_member_in_one_fold_changes_nothing():
    one = training([2.0, 1.0])
    changed = one.logits.copy()
    changed[one.groups == 1, 0] = norm.cdf(changed[one.groups == 1, 0]) * 1000
    after = stacked(Training(one.names, changed, one.labels, one.groups), 1e-4, None)
    np.testing.assert_allclose(after.weights, stacked(one, 1e-4, None).weights, atol=1e-9)
