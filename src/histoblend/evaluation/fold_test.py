"""A t test over folds that minds that their training sets overlap: Nadeau and Bengio (2003).

Folds are few and their models share most of their training patches, so the plain standard error over folds is too
short. Its variance 1/k is replaced by 1/k + (tested patches / training patches). It takes in how much models differ
from training to training, which resampling one set of predictions does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from histoblend.evaluation.auc import fold_aucs


@dataclass(frozen=True)
class FoldTest:
    """A mean over folds and what the corrected t test says of it.

    Attributes:
        mean: of the folds' values; `standard_error`: corrected; `freedom`: folds - 1.
        t: mean / standard error; `p_value`: two-sided, of the mean being 0. NaN, as the interval, with one fold
            or where all folds have the same value other than 0 (no variance to test by); p 1 where all are 0.
        low: of the interval of `level`; `high` likewise.
    """

    mean: float
    standard_error: float
    t: float
    freedom: int
    p_value: float
    low: float
    high: float
    level: float


def corrected_t(values: np.ndarray, test_over_train: float | None = None, level: float = 0.95) -> FoldTest:
    """The corrected t test of values by fold (k,).

    Args:
        test_over_train: tested patches per training patch; None for that of k equal folds, 1 / (k - 1).
    """
    values = np.asarray(values, np.float64)
    folds, mean = len(values), float(np.mean(values))
    nothing = float("nan")
    if folds < 2:
        return FoldTest(mean, nothing, nothing, 0, nothing, nothing, nothing, level)
    ratio = 1 / (folds - 1) if test_over_train is None else test_over_train
    error = float(values.std(ddof=1) * np.sqrt(1 / folds + ratio))
    if np.ptp(values) == 0:
        same = mean == 0
        limits = (0.0, 0.0) if same else (nothing, nothing)
        return FoldTest(
            mean, 0.0, 0.0 if same else nothing, folds - 1, 1.0 if same else nothing, *limits, level
        )
    reach = float(student.ppf((1 + level) / 2, folds - 1)) * error
    p_value = float(2 * student.sf(abs(mean) / error, folds - 1))
    return FoldTest(mean, error, mean / error, folds - 1, p_value, mean - reach, mean + reach, level)


def fold_difference_test(
    labels: np.ndarray, folds: np.ndarray, first: np.ndarray, second: np.ndarray, patches: int
) -> FoldTest:
    """The mean over folds of the first member's AUC minus the second's, of logits (n, outputs) each.

    Args:
        patches: of the whole split, of which the model of a fold was trained on all but those of its fold; more than
            n where some folds are not there.
    """
    ours, theirs = fold_aucs(labels, first, folds), fold_aucs(labels, second, folds)
    tested = len(labels) / len(ours)
    ratio = tested / (patches - tested) if len(ours) > 1 else None
    return corrected_t(np.array([ours[fold] - theirs[fold] for fold in ours]), ratio)
