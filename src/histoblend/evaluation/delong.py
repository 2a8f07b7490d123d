"""DeLong's variance of AUCs and of their paired differences, for patches that are independent of each other.

DeLong, DeLong, Clarke-Pearson (1988), in O(n log n) as of Sun and Xu (2014). An AUC is a mean of placements: the
share of negatives below each positive, the share of positives above each negative; its variance follows from theirs.
Patches of one slide are not independent: where slides are known, `slide_bootstrap` is the method to use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from histoblend.evaluation.auc import LabelSplit, doubled_places


@dataclass(frozen=True)
class PairedTest:
    """Difference of two AUCs on the same patches.

    Attributes:
        gain: AUC of the first minus that of the second; `standard_error` of it; `z`: their ratio.
        p_value: two-sided, from the normal distribution. 1 where the gain is exactly 0. NaN where the gain is not
            and yet its estimated variance is 0 (a perfect ranking against a constant one): nothing to test it by.
    """

    gain: float
    standard_error: float
    z: float
    p_value: float


def placements(split: LabelSplit, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of negatives below each positive and share of positives above each negative; ties count half.

    Returns:
        float64 in [0, 1], in the order of `split.positives` and of `split.negatives`.
    """
    positives, negatives = scores[split.positives], scores[split.negatives]
    return _shares_below(positives, negatives), 1 - _shares_below(negatives, positives)


def influences(split: LabelSplit, scores: np.ndarray) -> np.ndarray:
    """What each patch adds to the error of the AUC, float64 (n,); they sum to 0."""
    over_negatives, over_positives = placements(split, scores)
    parts = np.empty(split.rows, np.float64)
    parts[split.positives] = (over_negatives - over_negatives.mean()) / len(over_negatives)
    parts[split.negatives] = (over_positives - over_positives.mean()) / len(over_positives)
    return parts


def delong(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs of members and the covariance matrix of their errors.

    Args:
        labels: 0/1 (n,); `scores`: (n, members).

    Returns:
        float64 (members,) and (members, members). A perfect or a constant ranking has the variance 0: its
        placements do not differ, which says nothing of how far new patches could lie from it. With a single
        positive or a single negative the covariance is NaN: a variance cannot be had from one value.

    Raises:
        ValueError: one class only, or a score that is not a number.
    """
    split = LabelSplit(labels)
    aucs = np.array([split.auc(column) for column in scores.T])
    parts = [placements(split, column) for column in scores.T]
    over_negatives, over_positives = (np.stack(side) for side in zip(*parts, strict=True))
    return aucs, _covariance_of_mean(over_negatives) + _covariance_of_mean(over_positives)


def paired_test(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> PairedTest:
    """DeLong's test of the difference of two AUCs, of scores (n,) and (n,) for the same patches."""
    aucs, covariance = delong(labels, np.stack([first, second], axis=1))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = float(np.sqrt(max(variance, 0.0))) if not np.isnan(variance) else float("nan")
    gain = float(aucs[0] - aucs[1])
    if gain == 0:
        return PairedTest(0.0, error, 0.0, 1.0)
    if not error > 0:
        return PairedTest(gain, error, float("nan"), float("nan"))
    return PairedTest(gain, error, gain / error, float(2 * norm.sf(abs(gain) / error)))


def _shares_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    order = np.argsort(scores)
    shares = np.empty(len(scores), np.float64)
    shares[order] = doubled_places(scores[order], np.sort(others)) / (2 * len(others))
    return shares


def _covariance_of_mean(placed: np.ndarray) -> np.ndarray:
    """Covariance (members, members) of the means of placements (members, patches)."""
    members, patches = placed.shape
    if patches < 2:
        return np.full((members, members), np.nan)
    return np.atleast_2d(np.cov(placed)) / patches
