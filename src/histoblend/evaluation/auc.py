"""Exact areas under the ROC curve: of a fold, over folds, pooled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The exact AUC (Mann-Whitney, ties count half) of `scores` (n,) for `labels` 0/1 (n,)."""
    return float(roc_auc_score(labels, scores))


def percentile_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks of `scores` (n,) as float64 in (0, 1]; ties share their mean rank."""
    return np.asarray(rankdata(scores, method="average") / len(scores))


def ranks_within_folds(scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Percentile ranks taken fold by fold: fold models are not calibrated to each other."""
    ranks = np.empty(len(scores), np.float64)
    for fold in np.unique(folds):
        chosen = folds == fold
        ranks[chosen] = percentile_ranks(scores[chosen])
    return ranks


def fold_aucs(table: pd.DataFrame, score: str = "logit") -> dict[int, float]:
    """AUC of each whole fold of an out-of-fold table (columns label, fold and `score`)."""
    parts = {int(fold): table[table["fold"] == fold] for fold in np.unique(table["fold"])}
    return {fold: auc(part["label"].to_numpy(), part[score].to_numpy()) for fold, part in parts.items()}


def pooled_auc(table: pd.DataFrame, score: str = "logit") -> float:
    """AUC over all folds of an out-of-fold table, on ranks within fold."""
    ranks = ranks_within_folds(table[score].to_numpy(), table["fold"].to_numpy())
    return auc(table["label"].to_numpy(), ranks)
