"""Calibration maps, learnt on other folds than they are judged on, and the errors they mend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, log_loss

from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.calibration import (
    MAPS,
    calibrations,
    cross_fitted,
    expected_error,
    judged,
    learnt_map,
    reliability,
)
from histoblend.inference.predict import probabilities


def drawn(count: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels drawn with the probabilities of logits (n, 1), and folds: nothing is left to calibrate."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-0.5, 1.5, (count, 1))
    labels = (generator.random(count) < expit(logits[:, 0])).astype(np.int64)
    return labels, logits, np.arange(count) % 4


def test_the_temperature_that_was_put_in_is_found():
    labels, logits, _ = drawn()
    found = learnt_map("temperature", labels, logits * 3)
    np.testing.assert_allclose(logit(found(np.array([[3.0]]))), 1.0, atol=0.05)


def test_platt_undoes_a_slope_and_a_shift():
    labels, logits, _ = drawn()
    found = learnt_map("platt", labels, 2 * logits + 1)
    np.testing.assert_allclose(logit(found(np.array([[1.0], [3.0]])))[:, 0], [0.0, 1.0], atol=0.06)


def test_platt_does_not_run_away_on_separable_labels():
    labels = np.repeat([0, 1], 10)
    given = learnt_map("platt", labels, np.where(labels, 5.0, -5.0)[:, None])(np.array([[5.0], [-5.0]]))
    np.testing.assert_allclose(given[:, 0], [11 / 12, 1 / 12], atol=1e-4)  # Platt's softened targets


def test_isotonic_pools_what_is_out_of_order_and_claims_no_more_than_it_has_seen():
    logits = np.array([-3.0, -1.0, 0.0, 1.0, 3.0, 4.0])[:, None]
    found = learnt_map("isotonic", np.array([0, 0, 1, 0, 1, 1]), logits)
    np.testing.assert_allclose(found(np.array([[0.0], [1.0]]))[:, 0], [0.5, 0.5])
    np.testing.assert_allclose(found(np.array([[-99.0], [99.0]]))[:, 0], [1 / 8, 7 / 8])


@pytest.mark.parametrize("method", MAPS)
def test_a_fold_is_calibrated_by_the_others_alone(method: str):
    labels, logits, folds = drawn(400)
    before = cross_fitted(method, labels, logits, folds)
    here = folds == 2
    flipped = np.where(here, 1 - labels, labels)
    after = cross_fitted(method, flipped, logits, folds)
    np.testing.assert_array_equal(after[here], before[here])
    assert not np.allclose(after[~here], before[~here])
    own = learnt_map(method, labels[~here], logits[~here])(logits[here])
    np.testing.assert_array_equal(before[here], own)


@pytest.mark.parametrize("method", MAPS)
def test_maps_mend_what_was_bent_and_keep_the_order_within_a_fold(method: str):
    labels, logits, folds = drawn()
    bent = 3 * logits
    before, after = judged("none", labels, probabilities(bent)), cross_fitted(method, labels, bent, folds)
    mended = judged(method, labels, after)
    assert before.ece_equal_mass > 0.1 and mended.ece_equal_mass < 0.02
    assert mended.log_loss < before.log_loss and mended.brier < before.brier
    order = np.argsort(bent[folds == 1, 0])
    assert np.all(np.diff(after[folds == 1, 0][order]) >= 0)


def test_brier_and_log_loss_are_those_of_scikit_learn():
    labels, logits, _ = drawn(500)
    given = probabilities(logits)
    found = judged("none", labels, given)
    assert found.brier == pytest.approx(brier_score_loss(labels, given[:, 0]))
    assert found.log_loss == pytest.approx(log_loss(labels, given[:, 0]))


def test_expected_error_by_hand_in_both_kinds_of_bins():
    given = np.array([0.1, 0.1, 0.1, 0.1, 0.3, 0.9])[:, None]
    labels = np.array([0, 0, 0, 1, 1, 1])
    width = reliability(labels, given, bins=2, equal="width")
    assert width["patches"].tolist() == [5, 1]
    np.testing.assert_allclose(width[["predicted", "observed"]], [[0.14, 0.4], [0.9, 1.0]])
    assert expected_error(width) == pytest.approx((5 * 0.26 + 1 * 0.1) / 6)
    mass = reliability(labels, given, bins=3)
    assert mass["patches"].tolist() == [4, 2], "equal probabilities are never parted"
    assert expected_error(mass) == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)


def test_the_curve_holds_every_patch_once_even_where_all_are_alike():
    alike = reliability(np.array([0, 1, 1, 1]), np.full((4, 1), 0.7))
    assert alike["patches"].tolist() == [4] and expected_error(alike) == pytest.approx(0.05)
    labels, logits, _ = drawn(997)
    assert reliability(labels, probabilities(logits))["patches"].sum() == 997
    assert reliability(labels, probabilities(logits))["patches"].between(60, 73).all()


def test_more_classes_are_judged_by_their_top_probability_and_take_a_temperature_only():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 1.5, (6000, 3))
    labels = (generator.random((6000, 1)) > probabilities(logits).cumsum(axis=1)).sum(axis=1)
    found = calibrations(labels, 4 * logits, np.arange(6000) % 3)
    assert [one.method for one in found] == ["none", "temperature"]
    assert found[0].ece_equal_mass > 0.1 and found[1].ece_equal_mass < 0.03
    given = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    top = reliability(np.array([1, 2]), given, bins=2, equal="width")
    np.testing.assert_allclose(top[["predicted", "observed"]], [[0.55, 0.5]])
    assert judged("none", np.array([1, 2]), given).brier == pytest.approx((0.38 + 1.26) / 2)


def test_what_cannot_be_calibrated_is_refused():
    labels, logits, folds = drawn(40)
    with pytest.raises(ConfigRefusal, match=r"platt is for two classes[\s\S]*temperature"):
        learnt_map("platt", labels, np.hstack([logits] * 3))
    with pytest.raises(ConfigRefusal, match="plat"):
        learnt_map("plat", labels, logits)
    with pytest.raises(ArtifactRefusal, match="Only fold 0"):
        cross_fitted("platt", labels, logits, np.zeros(40))
    with pytest.raises(ArtifactRefusal, match="No patch of class 1"):
        cross_fitted("platt", (folds == 0).astype(int), logits, folds)
