"""What a rule has learned, as plain data, and the one function that applies it to any patches.

A blend is a weighted mean of its members in one of four spaces:

=============  ==========================================================================  ================
space          what is averaged                                                            needs other rows
=============  ==========================================================================  ================
`logit`        logits                                                                      no
`probability`  probabilities to a power, class by class, brought back to a sum of one      no
`rank`         mid-ranks within the group, in (0, 1); of two classes only                  yes
`normal`       normal scores of those mid-ranks, with a slope and an intercept; likewise   yes
=============  ==========================================================================  ================

A group holds patches scored by the same models: a fold out of fold, one group for all of test. Ranks are taken
within a group, because models of different folds are not calibrated to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_expit, log_softmax, logit, logsumexp, ndtri
from scipy.stats import rankdata


@dataclass(frozen=True)
class Mixture:
    """Weights by member and how they are applied.

    Attributes:
        weights: float64 (members,); their absolute values sum to 1.
        power: in the space `probability`; 1 is the plain mean, towards 0 the mean of logits.
        slope: what the mean of normal scores is multiplied with to be a log-odds.
        intercept: what is then added; it moves no rank.
    """

    weights: np.ndarray
    space: str = "logit"
    power: float = 1.0
    slope: float = 1.0
    intercept: float = 0.0

    def over(self, places: np.ndarray, members: int) -> Mixture:
        """The same mixture for `members` members, of which these stand at `places` and all others weigh nothing."""
        weights = np.zeros(members)
        weights[places] = self.weights
        return replace(self, weights=weights)


def mixed(logits: np.ndarray, groups: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Blended logits float64 (n, outputs) of members' logits (n, members, outputs).

    Args:
        groups: (n,), which patches were scored by the same models.
    """
    return SPACES[mixture.space](logits, groups, mixture)


def mixed_pointwise(logits: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Blended logits (..., outputs) of logits (..., members, outputs) in a space that needs no other rows."""
    return POINTWISE[mixture.space](logits, mixture)


def _logit(logits: np.ndarray, mixture: Mixture) -> np.ndarray:
    return np.asarray(np.einsum("...mo,m->...o", logits, mixture.weights))


def _probability(logits: np.ndarray, mixture: Mixture) -> np.ndarray:
    """In logarithms throughout: probabilities near 0 and 1 are kept apart."""
    weights, power = mixture.weights[:, None], mixture.power
    if logits.shape[-1] == 1:
        positive, negative = (
            logsumexp(power * log_expit(sign * logits), axis=-2, b=weights) for sign in (1, -1)
        )
        return np.asarray((positive - negative) / power)
    pooled = logsumexp(power * log_softmax(logits, axis=-1), axis=-2, b=weights)
    return np.asarray(log_softmax(pooled / power, axis=-1))


def ranks_in_groups(logits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mid-ranks float64 in (0, 1) of each column of `logits` (n, ...) within each group."""
    ranks = np.empty(logits.shape, np.float64)
    for group in np.unique(groups):
        chosen = groups == group
        ranks[chosen] = (rankdata(logits[chosen], axis=0) - 0.5) / chosen.sum()
    return ranks


def normal_scores(logits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The standard normal's quantiles at the mid-ranks within each group."""
    return np.asarray(ndtri(ranks_in_groups(logits, groups)))


def _rank(logits: np.ndarray, groups: np.ndarray, mixture: Mixture) -> np.ndarray:
    return np.asarray(logit(_logit(ranks_in_groups(logits, groups), mixture)))


def _normal(logits: np.ndarray, groups: np.ndarray, mixture: Mixture) -> np.ndarray:
    return mixture.intercept + mixture.slope * _logit(normal_scores(logits, groups), mixture)


POINTWISE: dict[str, Callable[[np.ndarray, Mixture], np.ndarray]] = {
    "logit": _logit,
    "probability": _probability,
}
"""Spaces in which a patch is blended by itself."""

SPACES: dict[str, Callable[[np.ndarray, np.ndarray, Mixture], np.ndarray]] = {
    "logit": lambda logits, groups, mixture: _logit(logits, mixture),
    "probability": lambda logits, groups, mixture: _probability(logits, mixture),
    "rank": _rank,
    "normal": _normal,
}
