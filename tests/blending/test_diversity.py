from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from histoblend.blending.diversity import contributions, gate, spearman
from histoblend.blending.training import Training
from histoblend.evaluation.auc import pooled_auc
from histoblend.evaluation.uncertainty import Ground

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 2, 240)
FOLDS = np.arange(240) % 4
LOGITS = LABELS[:, None, None] * np.array([0.5, 1.0, 1.5])[:, None] + GENERATOR.normal(size=(240, 3, 1))
NAMES = ("low", "middle", "high")


def test_of_one_group_it_is_spearmans_correlation():
    found = spearman(LOGITS, np.zeros(240))
    np.testing.assert_allclose(found, spearmanr(LOGITS[..., 0]).statistic, atol=1e-12)


def test_folds_shifted_against_each_other_change_no_correlation():
    shifted = LOGITS + 100.0 * FOLDS[:, None, None] * np.array([1, -1, 0])[:, None]
    np.testing.assert_allclose(spearman(shifted, FOLDS), spearman(LOGITS, FOLDS))


def test_a_constant_member_correlates_with_nobody():
    constant = LOGITS.copy()
    constant[:, 1] = 3.0
    found = spearman(constant, FOLDS)
    np.testing.assert_array_equal(found[1], [0, 1, 0])
    assert np.isfinite(found).all()


def test_of_more_classes_classes_count_alike():
    logits = GENERATOR.normal(size=(90, 2, 3))
    np.testing.assert_allclose(spearman(np.repeat(logits[:, :1], 2, axis=1), FOLDS[:90]), np.ones((2, 2)))
    assert abs(spearman(logits, FOLDS[:90])[0, 1]) < 0.3


def twins() -> Training:
    """The last is `high` with a little noise: the weaker of the two."""
    twin = (
        LOGITS[:, 2:] + 0.05 * np.random.default_rng(1).normal(size=(240, 1, 1)) - 0.1 * LABELS[:, None, None]
    )
    return Training((*NAMES, "twin"), np.concatenate([LOGITS, twin], axis=1), LABELS, FOLDS)


def test_the_gate_leaves_out_the_weaker_of_two_that_rank_alike():
    found = gate(twins(), 0.95)
    np.testing.assert_array_equal(found.kept, [0, 1, 2])
    assert set(found.reasons) == {"twin"} and "ranks as high does (Spearman 0.99" in found.reasons["twin"]
    turned = gate(twins().only(np.array([3, 2, 1, 0])), 0.95)
    assert set(turned.reasons) == {"twin"}


def test_where_none_correlate_above_the_limit_everyone_passes():
    found = gate(twins(), 0.9999)
    assert (found.kept.tolist(), found.reasons) == ([0, 1, 2, 3], {})


def test_a_contribution_is_what_the_equal_mean_loses_without_the_member():
    ground = Ground(LABELS, FOLDS, np.arange(240) // 4, "slides")
    whole = pooled_auc(LABELS, LOGITS.mean(axis=1), FOLDS)
    found = contributions(NAMES, LOGITS, ground)
    assert [one.member for one in found] == list(NAMES)
    for place, one in enumerate(found):
        without = pooled_auc(LABELS, np.delete(LOGITS, place, axis=1).mean(axis=1), FOLDS)
        assert one.auc_without == pytest.approx(without, abs=1e-12)
        assert one.gain == pytest.approx(whole - without, abs=1e-12) and one.standard_error > 0
    assert found[2].gain > 0.02
    assert contributions(("only",), LOGITS[:, :1], ground) == []
