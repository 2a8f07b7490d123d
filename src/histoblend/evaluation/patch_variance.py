"""The covariance of members' AUCs where patches are independent: DeLong's, for two classes or more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from histoblend.evaluation.auc import LabelSplit, class_auc
from histoblend.evaluation.delong import influences


def patch_covariance(labels: np.ndarray, members: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """AUCs (members,) and the covariance (members, members) of their errors.

    With two classes this is DeLong's. With more, AUC and influence of each patch are the means of one class against
    the rest, and patches are taken as drawn class by class, as DeLong's are.

    Args:
        labels: int (n,), 0 to classes - 1; `members`: ranks or scores (n, outputs) each.
    """
    aucs, parts = [], []
    for scores in members:
        aucs.append(class_auc(labels, scores))
        classes = [1] if scores.shape[1] == 1 else range(scores.shape[1])
        columns = zip(classes, scores.T, strict=True)
        parts.append(
            np.mean([influences(LabelSplit(labels == place), column) for place, column in columns], axis=0)
        )
    return np.array(aucs), sum_by_class(labels, np.stack(parts))


def sum_by_class(labels: np.ndarray, influence: np.ndarray) -> np.ndarray:
    """Covariance (members, members) of sums of influences (members, n), patches being drawn class by class."""
    covariance = np.zeros((len(influence), len(influence)))
    for label in np.unique(labels):
        mine = influence[:, labels == label]
        patches = mine.shape[1]
        covariance += patches * np.atleast_2d(np.cov(mine)) if patches > 1 else np.nan
    return covariance
