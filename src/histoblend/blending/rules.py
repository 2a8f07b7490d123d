"""Blend rules: one function and one row each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logit
from scipy.stats import rankdata

from histoblend.evaluation.auc import one_vs_rest

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Logits float64 (patches, members, outputs) and groups (patches,) in, blended logits (patches, outputs) out.

A group holds patches scored by the same models: a fold out of fold, one group for all of test.
"""


def logit_mean(logits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The equal-weight mean of the members' logits."""
    return np.asarray(logits.mean(axis=1))


def rank_mean(logits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The equal-weight mean of the members' mid-ranks within each group, class by class, as a logit."""
    ranks = np.empty_like(logits)
    for member in range(logits.shape[1]):
        scores = one_vs_rest(logits[:, member])
        for group in np.unique(groups):
            chosen = groups == group
            ranks[chosen, member] = (rankdata(scores[chosen], axis=0) - 0.5) / chosen.sum()
    return np.asarray(logit(ranks.mean(axis=1)))


RULES: dict[str, Rule] = {"logit_mean": logit_mean, "rank_mean": rank_mean}
