"""Why an AUC pooled over folds lies below the mean of the folds' AUCs: the shares of a class differ between folds."""

from __future__ import annotations

import numpy as np

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.report_page.wording import score, share
from histoblend.reporting.ranking import WIDE_GAP


def highest_pooled(labels: np.ndarray, folds: np.ndarray) -> float:
    """The AUC pooled on ranks within folds of scores that tell every two patches of a fold apart.

    Ranks of a fold are spread evenly over (0, 1), so the positives of a fold with the share p of them have the mean
    rank 1 - p / 2 at best, and the pooled AUC follows from the mean rank of all positives. It is 1 where every fold
    has the same share.

    Args:
        labels: bool (n,), both present.
        folds: int (n,).
    """
    whole = float(labels.mean())
    found = [
        (int(labels[folds == one].sum()), float(labels[folds == one].mean())) for one in np.unique(folds)
    ]
    mean_rank = sum(positives * (1 - part / 2) for positives, part in found) / float(labels.sum())
    return (mean_rank - whole / 2) / (1 - whole)


def lowered(one: Candidate, artifacts: Artifacts) -> float:
    """By how much its pooled AUC lies below the mean of its folds, where the shares are why; 0 where that is little."""
    gap = one.metrics.auc_fold_mean - one.metrics.auc_pooled
    if not one.metrics.complete or not gap > WIDE_GAP:
        return 0.0
    return gap if 1 - _best(one, artifacts) >= gap / 2 else 0.0


def _best(one: Candidate, artifacts: Artifacts) -> float:
    """`highest_pooled`, over more than two classes the mean of each against the rest."""
    labels, folds = one.labels, one.table["fold"].to_numpy()
    classes = range(len(artifacts.classes)) if artifacts.several else [1]
    return float(np.mean([highest_pooled(labels == place, folds) for place in classes]))


def below_fold_mean(one: Candidate, artifacts: Artifacts) -> str:
    """Why its pooled AUC lies clearly below the mean of its folds; nothing where it does not."""
    metrics = one.metrics
    gap = metrics.auc_fold_mean - metrics.auc_pooled
    if not metrics.complete or not gap > WIDE_GAP:
        return ""
    lies = (
        f"The AUC of {one.name} ({score(metrics.auc_pooled)}) lies below the mean of its folds "
        f"({score(metrics.auc_fold_mean)})"
    )
    if not lowered(one, artifacts):
        return (
            f"{lies}: folds in which patches are hard to tell apart weigh more in it, and alike in the mean."
        )
    what = (
        "the shares of the classes differ"
        if artifacts.several
        else f"the share of {artifacts.classes[1]} differs"
    )
    return (
        f"{lies} because {what} from fold to fold{_range(artifacts)}: pooling compares patches of different "
        "folds by their ranks, and where there are more positives the same rank stands for another probability. "
        f"Networks that tell all patches of each fold apart would have {score(_best(one, artifacts))} here, not 1. So "
        "compare rows by one column, never one column with the other."
    )


def _range(artifacts: Artifacts) -> str:
    """From the least to the greatest share of positives of a fold, of two classes."""
    if artifacts.several:
        return ""
    shares = artifacts.folds["label"].groupby(artifacts.folds["fold"]).mean()
    return f" (from {share(float(shares.min()))} to {share(float(shares.max()))})"
