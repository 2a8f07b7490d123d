from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from histoblend.blending.finals import Candidate, second_final
from histoblend.evaluation.uncertainty import Ground, differences

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 2, 400)
GROUND = Ground(LABELS, np.arange(400) % 4, np.arange(400) // 4 % 25 * 4 + np.arange(400) % 4, "slides")
SIGNAL = 1.5 * LABELS + GENERATOR.normal(size=400)
BETTER = SIGNAL + 0.05 * LABELS
TEST = GENERATOR.normal(size=200)


def candidate(name: str, out_of_fold: np.ndarray, test: np.ndarray) -> Candidate:
    return Candidate(name, name, out_of_fold[:, None], test[:, None])


CHOSEN = candidate("chosen", SIGNAL, TEST)
ALIKE = candidate("alike", BETTER, TEST**3)
NEAR = candidate("near", BETTER, TEST + 0.3 * GENERATOR.normal(size=200))
OTHER = candidate("other", BETTER, TEST + 0.9 * GENERATOR.normal(size=200))
WORSE = candidate("worse", SIGNAL + 2 * GENERATOR.normal(size=400), GENERATOR.normal(size=200))


def test_the_most_different_of_the_near_best_is_the_second():
    found = second_final([WORSE, NEAR, CHOSEN, OTHER, ALIKE], CHOSEN, GROUND)
    assert found is not None and found.candidate is OTHER
    assert found.why.startswith("the most different of those nearly as good: rank correlation 0.")


def test_one_that_is_worse_by_more_than_noise_is_not_taken_however_different():
    assert second_final([CHOSEN, WORSE], CHOSEN, GROUND) is None


@pytest.mark.parametrize(("below", "is_near"), [(0.8, True), (1.5, False)])
def test_near_is_one_standard_error_of_the_difference(below: float, is_near: bool):
    """The loss is planted in units of the standard error of the very difference."""
    noise = np.random.default_rng(1).normal(size=400)

    def errors_below(amount: float) -> float:
        columns = np.stack([SIGNAL, SIGNAL + 0.5 * noise - amount * LABELS], axis=1)[..., None]
        found = differences(GROUND, columns, 0)[1]
        return -found.gain / found.interval.standard_error

    amount = float(brentq(lambda one: errors_below(one) - below, -0.5, 0.5, xtol=1e-3))
    assert errors_below(amount) == pytest.approx(below, abs=0.2)
    rival = candidate("rival", SIGNAL + 0.5 * noise - amount * LABELS, OTHER.test[:, 0])
    found = second_final([CHOSEN, rival], CHOSEN, GROUND)
    assert (found is not None) == is_near


def test_where_no_error_can_be_told_the_second_is_the_best_cross_fitted_if_it_leads():
    """On three slides no interval can be had."""
    few = replace(GROUND, slides=np.arange(400) % 3)
    best = candidate("best", SIGNAL + 0.2 * LABELS, NEAR.test[:, 0])
    found = second_final([WORSE, OTHER, CHOSEN, best], CHOSEN, few)
    assert found is not None and found.candidate is best
    assert found.why.startswith("the best cross-fitted, by how much more than noise cannot be told: rank")
    assert "nan" not in found.why
    assert second_final([WORSE, OTHER, CHOSEN, best], best, few) is None
    assert second_final([WORSE, CHOSEN], CHOSEN, few) is None


def test_one_that_ranks_test_alike_hedges_nothing():
    assert second_final([CHOSEN, ALIKE], CHOSEN, GROUND) is None


def test_without_test_patches_or_with_constant_ones_there_is_no_second():
    nothing = [candidate(name, SIGNAL, TEST[:0]) for name in "ab"]
    assert second_final(nothing, nothing[0], GROUND) is None
    constant = candidate("constant", SIGNAL, np.zeros(200))
    assert second_final([CHOSEN, constant], CHOSEN, GROUND) is None
