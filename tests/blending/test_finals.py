from __future__ import annotations

import numpy as np

from histoblend.blending.finals import Candidate, second_final
from histoblend.evaluation.uncertainty import Ground

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


def test_one_that_ranks_test_alike_hedges_nothing():
    assert second_final([CHOSEN, ALIKE], CHOSEN, GROUND) is None


def test_without_test_patches_or_with_constant_ones_there_is_no_second():
    nothing = [candidate(name, SIGNAL, TEST[:0]) for name in "ab"]
    assert second_final(nothing, nothing[0], GROUND) is None
    constant = candidate("constant", SIGNAL, np.zeros(200))
    assert second_final([CHOSEN, constant], CHOSEN, GROUND) is None
