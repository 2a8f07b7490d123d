"""Exact areas under the ROC curve: of a fold, over folds, pooled; with more than two classes one against the rest."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp
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


def one_vs_rest(logits: np.ndarray) -> np.ndarray:
    """Log-odds (n, outputs) of each class against all others, of logits (n, outputs).

    They order patches as the softmax does, without its ties near 0 and 1. One output is its own log-odds.
    """
    if logits.shape[1] == 1:
        return logits
    others = [np.delete(logits, place, axis=1) for place in range(logits.shape[1])]
    return logits - np.stack([logsumexp(other, axis=1) for other in others], axis=1)


def class_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """AUC of one-vs-rest `scores` (n, outputs); over more than two classes the plain mean of each class's.

    Args:
        labels: int (n,), 0 to classes - 1, every class present.
    """
    if scores.shape[1] == 1:
        return auc(labels, scores[:, 0])
    return float(np.mean([auc(labels == place, column) for place, column in enumerate(scores.T)]))


def fold_aucs(labels: np.ndarray, logits: np.ndarray, folds: np.ndarray) -> dict[int, float]:
    """AUC of each whole fold, of out-of-fold logits (n, outputs)."""
    scores = one_vs_rest(logits)
    return {int(fold): class_auc(labels[folds == fold], scores[folds == fold]) for fold in np.unique(folds)}


def pooled_auc(labels: np.ndarray, logits: np.ndarray, folds: np.ndarray) -> float:
    """AUC over all folds of out-of-fold logits (n, outputs), on ranks within fold."""
    ranks = [ranks_within_folds(column, folds) for column in one_vs_rest(logits).T]
    return class_auc(labels, np.stack(ranks, axis=1))
