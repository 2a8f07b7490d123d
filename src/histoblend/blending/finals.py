"""At most two submissions to name as finals: the chosen blend, and the most different of those nearly as good.

Kaggle scores the better of two selected submissions. A second one helps only as far as it errs on other patches. The
first is the rule that was decided on, not the best cross-fitted one: of many rules that lead is mostly luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoblend.blending.diversity import spearman
from histoblend.evaluation.uncertainty import Difference, Ground, differences

NEAR = 1.0  # standard errors of the paired difference that a near-best may lie below the chosen
THE_SAME = 0.999  # rank correlation on test from which a second submission hedges nothing


@dataclass(frozen=True)
class Candidate:
    """A submission that could be made: a blend by `rule`, or a member alone (``rule`` None).

    Attributes:
        out_of_fold: logits float64 (n, outputs), cross-fitted where the rule learns.
        test: logits float64 (patches of test, outputs).
    """

    name: str
    rule: str | None
    out_of_fold: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Final:
    """A submission recommended as a final, and why."""

    candidate: Candidate
    why: str


def second_final(candidates: Sequence[Candidate], chosen: Candidate, ground: Ground) -> Final | None:
    """The near-best candidate whose test predictions differ most from those of `chosen`, one of the candidates.

    Near-best: its cross-fitted AUC lies at most one standard error of the paired difference below. If none is known to
    be, as where the error cannot be told, the best cross-fitted one, if that is not the chosen. None if there is none,
    or if all of them rank the test patches as the chosen one does.
    """
    if not len(chosen.test):
        return None
    first = next(place for place, one in enumerate(candidates) if one is chosen)
    columns = np.stack([one.out_of_fold for one in candidates], axis=1)
    found = differences(ground, columns, first)
    tests = np.stack([one.test for one in candidates], axis=1)
    correlation = spearman(tests, np.zeros(len(tests), np.int64))[first]
    others = [
        place for place, one in enumerate(candidates) if place != first and np.ptp(one.test, axis=0).any()
    ]
    near = [place for place in others if _is_near(found[place])]
    hedges = near or _leading(others, found)
    if not hedges:
        return None
    place = min(hedges, key=lambda one: round(float(correlation[one]), 9))  # of equals the first
    if correlation[place] > THE_SAME:
        return None
    return Final(candidates[place], _why(found[place], float(correlation[place]), bool(near)))


def _is_near(difference: Difference) -> bool:
    return difference.gain >= -NEAR * difference.interval.standard_error  # False where that is not known


def _leading(places: Sequence[int], found: Sequence[Difference]) -> list[int]:
    """The place with the highest cross-fitted AUC, if that is higher than the chosen one's."""
    best = max(places, key=lambda place: found[place].gain, default=None)
    return [] if best is None or found[best].gain <= 0 else [best]


def _why(difference: Difference, correlation: float, near: bool) -> str:
    gain, error = difference.gain, difference.interval.standard_error
    alike = f"rank correlation {correlation:.4f} on test, cross-fitted AUC {gain:+.4f}"
    if near:
        return f"the most different of those nearly as good: {alike} ± {error:.4f} beside the first"
    return f"the best cross-fitted, by how much more than noise cannot be told: {alike} beside the first"
