from __future__ import annotations

import numpy as np
import pytest

from histoblend.blending.objective import Objective
from histoblend.evaluation.auc import pooled_auc

GENERATOR = np.random.default_rng(0)
FOLDS = GENERATOR.choice(4, 211, p=[0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("digits", [0, 1, 12])
def test_it_is_the_pooled_auc_of_any_logits_with_ties_and_without(outputs: int, digits: int):
    labels = GENERATOR.integers(0, max(2, outputs), 211)
    objective = Objective(labels, FOLDS)
    for _ in range(3):
        logits = np.round(GENERATOR.normal(size=(211, outputs)) + labels[:, None] * 0.3, digits)
        assert objective(logits) == pytest.approx(pooled_auc(labels, logits, FOLDS), abs=1e-12)
    constant = np.zeros((211, outputs))
    assert objective(constant) == pytest.approx(pooled_auc(labels, constant, FOLDS), abs=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_score_that_is_no_number_is_refused_in_any_fold(outputs: int):
    labels = GENERATOR.integers(0, max(2, outputs), 211)
    for fold in range(4):
        logits = GENERATOR.normal(size=(211, outputs))
        logits[np.flatnonzero(fold == FOLDS)[3]] = np.nan
        with pytest.raises(ValueError, match="not a number"):
            Objective(labels, FOLDS)(logits)


def test_a_fold_with_one_class_is_pooled_with_the_others():
    labels = np.where(FOLDS == 1, 1, GENERATOR.integers(0, 2, 211))
    logits = GENERATOR.normal(size=(211, 1))
    assert Objective(labels, FOLDS)(logits) == pytest.approx(pooled_auc(labels, logits, FOLDS), abs=1e-12)
