"""Blend rules: one function and one row each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logit
from scipy.stats import rankdata

TWO_CLASSES_ONLY = frozenset({"rank_mean"})
"""Rules that have no meaning for more: ranks within a class forget how common it is, so argmax would err."""

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Logits float64 (patches, members, outputs) and groups (patches,) in, blended logits (patches, outputs) out.

A group holds patches scored by the same models: a fold out of fold, one group for all of test.
"""


def logit_mean(logits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The equal-weight mean of the members' logits."""
    return np.asarray(logits.mean(axis=1))


def rank_mean(logits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The equal-weight mean of the members' mid-ranks within each group, as a logit; of two classes only."""
    ranks = np.empty_like(logits)
    for group in np.unique(groups):
        chosen = groups == group
        ranks[chosen] = (rankdata(logits[chosen], axis=0) - 0.5) / chosen.sum()
    return np.asarray(logit(ranks.mean(axis=1)))


RULES: dict[str, Rule] = {"logit_mean": logit_mean, "rank_mean": rank_mean}


def rules_for(classes: int) -> dict[str, Rule]:
    """The rules that have a meaning for that many classes."""
    return {name: rule for name, rule in RULES.items() if classes == 2 or name not in TWO_CLASSES_ONLY}
