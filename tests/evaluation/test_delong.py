from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from histoblend.evaluation.auc import LabelSplit, auc
from histoblend.evaluation.delong import delong, influences, paired_test
from histoblend.evaluation.patch_variance import patch_covariance


def members(seed: int, patches: int = 80, decimals: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, patches)
    common = generator.normal(labels, 1.0)
    return labels, np.round(common[:, None] + generator.normal(size=(patches, 3)), decimals)


def by_components(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Covariance of AUCs from the structural components, every pair by hand (DeLong 1988)."""
    ours, theirs = scores[labels == 1], scores[labels == 0]
    won = (ours[:, None] > theirs) + 0.5 * (ours[:, None] == theirs)
    over_negatives, over_positives = won.mean(axis=1), won.mean(axis=0)
    return np.cov(over_negatives.T) / len(ours) + np.cov(over_positives.T) / len(theirs)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_covariance_is_that_of_all_pairs_by_hand(decimals: int):
    labels, scores = members(decimals, decimals=decimals)
    aucs, covariance = delong(labels, scores)
    assert aucs.tolist() == [auc(labels, column) for column in scores.T]
    np.testing.assert_allclose(covariance, by_components(labels, scores), atol=1e-15)


def test_known_answer_of_a_small_case():
    """Placements 1, 1, .5 over two negatives: variances 1/12 and 2/9 of 3 and 2 values, 1/72 + (1/18)/2."""
    labels, scores = np.array([1, 1, 1, 0, 0]), np.array([4.0, 3.0, 1.5, 1.0, 2.0])
    aucs, covariance = delong(labels, scores[:, None])
    assert aucs[0] == pytest.approx(5 / 6)
    assert covariance[0, 0] == pytest.approx((1 / 12) / 3 + (1 / 18) / 2)


def test_paired_test_reads_the_covariance():
    labels, scores = members(3)
    aucs, covariance = delong(labels, scores)
    found = paired_test(labels, scores[:, 0], scores[:, 2])
    error = np.sqrt(covariance[0, 0] + covariance[2, 2] - 2 * covariance[0, 2])
    assert (found.gain, found.standard_error) == (pytest.approx(aucs[0] - aucs[2]), pytest.approx(error))
    assert found.p_value == pytest.approx(2 * norm.sf(abs(found.z)))
    assert paired_test(labels, scores[:, 2], scores[:, 0]).z == pytest.approx(-found.z)


def test_the_variance_is_that_seen_over_many_samples():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 40])
    drawn = [delong(labels, generator.normal(1.5 * labels, 1.0)[:, None]) for _ in range(600)]
    seen = np.var([aucs[0] for aucs, _ in drawn])
    assert np.mean([covariance[0, 0] for _, covariance in drawn]) == pytest.approx(seen, rel=0.15)


def test_degenerate_cases_are_as_documented():
    labels, perfect = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    assert delong(labels, perfect[:, None])[1][0, 0] == 0.0
    alike = paired_test(labels, perfect, perfect**3)
    assert (alike.gain, alike.p_value) == (0.0, 1.0)
    untestable = paired_test(labels, perfect, np.zeros(4))
    assert untestable.gain == 0.5
    assert np.isnan(untestable.p_value)
    assert np.isnan(delong(np.array([0, 0, 1]), np.arange(3.0)[:, None])[1]).all()
    with pytest.raises(ValueError, match="both classes"):
        delong(np.ones(3), perfect[:3, None])


def test_influences_sum_to_nothing_and_foresee_what_a_patch_left_out_changes():
    labels, scores = members(1, patches=400, decimals=9)
    found = influences(LabelSplit(labels), scores[:, 0])
    assert found.sum() == pytest.approx(0, abs=1e-12)
    left = np.arange(1, 400)
    change = auc(labels, scores[:, 0]) - auc(labels[left], scores[left, 0])
    assert change == pytest.approx(found[0], rel=0.02)


def test_covariance_by_influences_is_delongs_and_holds_for_more_classes():
    labels, scores = members(2)
    _, covariance = patch_covariance(labels, list(scores.T[:, :, None]))
    np.testing.assert_allclose(covariance, delong(labels, scores)[1], atol=1e-15)
    two = [np.stack([-column, column], axis=1) for column in scores.T]
    np.testing.assert_allclose(patch_covariance(labels, two)[1], covariance, atol=1e-15)
    generator = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], [30, 40, 50])
    drawn = [
        patch_covariance(classes, [generator.normal(size=(120, 3)) + np.eye(3)[classes]]) for _ in range(300)
    ]
    seen = np.var([found[0] for found, _ in drawn])
    assert np.mean([found[0, 0] for _, found in drawn]) == pytest.approx(seen, rel=0.2)
