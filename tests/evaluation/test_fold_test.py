from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from histoblend.evaluation.auc import fold_aucs
from histoblend.evaluation.fold_test import corrected_t, fold_difference_test


def test_known_answer():
    """Values .01 to .05 of 5 folds: mean .03, variance .00025, times 1/5 + 1/4."""
    found = corrected_t(np.array([0.01, 0.02, 0.03, 0.04, 0.05]))
    error = np.sqrt(0.00025 * 0.45)
    assert (found.mean, found.standard_error) == (pytest.approx(0.03), pytest.approx(error))
    assert found.t == pytest.approx(0.03 / error)
    assert found.p_value == pytest.approx(0.04742, abs=1e-5)
    assert (found.low, found.high) == pytest.approx(
        (0.03 - 2.7764451052 * error, 0.03 + 2.7764451052 * error)
    )


def test_without_training_patches_it_is_the_plain_t_test():
    values = np.array([0.3, -0.1, 0.4, 0.2])
    found, plain = corrected_t(values, test_over_train=0.0), ttest_1samp(values, 0)
    assert (found.t, found.p_value) == pytest.approx((plain.statistic, plain.pvalue))


def test_p_and_interval_agree():
    generator = np.random.default_rng(0)
    for _ in range(50):
        found = corrected_t(generator.normal(0.02, 0.02, 5))
        assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_what_cannot_be_tested_is_nan_and_no_difference_is_certain():
    assert np.isnan([corrected_t(np.array([0.9])).p_value, corrected_t(np.array([0.2, 0.2])).low]).all()
    none = corrected_t(np.zeros(5))
    assert (none.p_value, none.low, none.high) == (1.0, 0.0, 0.0)


def test_folds_are_compared_pair_by_pair():
    generator = np.random.default_rng(1)
    labels, folds = generator.integers(0, 2, 300), np.arange(300) % 5
    first, second = generator.normal(labels, 1.0)[:, None], generator.normal(labels, 1.5)[:, None]
    ours, theirs = fold_aucs(labels, first, folds), fold_aucs(labels, second, folds)
    found = fold_difference_test(labels, folds, first, second, len(labels))
    expected = np.array([ours[fold] - theirs[fold] for fold in range(5)])
    assert found.mean == pytest.approx(expected.mean())
    assert found.p_value == pytest.approx(2 * student.sf(abs(found.t), 4))
    assert found.standard_error == pytest.approx(corrected_t(expected).standard_error)


def test_folds_that_are_not_there_were_trained_on_all_the_same():
    """Two of five folds of 60 patches: 60 tested for 240 trained on, so 1/2 + 1/4, not 1/2 + 1."""
    generator = np.random.default_rng(2)
    labels, folds = generator.integers(0, 2, 120), np.arange(120) % 2
    first, second = generator.normal(labels, 1.0)[:, None], generator.normal(labels, 1.5)[:, None]
    ours, theirs = fold_aucs(labels, first, folds), fold_aucs(labels, second, folds)
    gains = np.array([ours[fold] - theirs[fold] for fold in range(2)])
    found = fold_difference_test(labels, folds, first, second, 300)
    assert found.standard_error == pytest.approx(gains.std(ddof=1) * np.sqrt(3 / 4))
