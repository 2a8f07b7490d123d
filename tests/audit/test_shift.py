"""Adversarial validation: .5 for the same, 1 for the different, and the statistic that was moved is named."""

from __future__ import annotations

import numpy as np

from histoblend.audit.description import FEATURES
from histoblend.audit.shift import separability, shift_finding


def drawn(rows: int, seed: int, moved: float = 0.0) -> np.ndarray:
    features = np.random.default_rng(seed).normal(size=(rows, len(FEATURES))).astype(np.float32)
    features[:, FEATURES.index("dark_density")] += moved
    return features


def test_alike_cannot_be_told_apart() -> None:
    assert 0.4 < separability(drawn(300, 0), drawn(300, 1)) < 0.6


def test_a_shift_is_measured_and_its_statistic_named() -> None:
    finding = shift_finding(drawn(200, 0), drawn(150, 1, moved=2.0))
    assert finding is not None
    assert finding.severity == "odd"
    assert finding.values["auc"] > 0.85
    assert next(iter(finding.values["statistics"])) == "dark_density"
    assert "dark_density" in finding.sentence


def test_folds_that_differ_as_much_take_the_alarm_away() -> None:
    """Test differs from train as one slide from another: no reason to worry beyond that."""
    train = np.concatenate([drawn(100, 0), drawn(100, 1, moved=2.0)])
    folds = np.repeat([0, 1], 100)
    finding = shift_finding(train, drawn(150, 2, moved=-2.0), folds)
    assert finding is not None and finding.values["auc_fold_0_against_others"] > 0.85
    alone = shift_finding(train, drawn(150, 2, moved=-2.0))
    assert alone is not None and alone.severity == "odd"
    alike = shift_finding(drawn(150, 3), drawn(150, 4))
    assert alike is not None and alike.severity == "note"


def test_too_few_patches_are_not_compared() -> None:
    assert shift_finding(drawn(100, 0), drawn(5, 1)) is None
    assert shift_finding(drawn(100, 0), drawn(0, 1)) is None
