"""Exact areas under the ROC curve: of a fold, over folds, pooled; with more than two classes one against the rest.

An AUC is counted, not integrated: positives and negatives are sorted apart (numpy sorts plain numbers with vector
instructions), then each positive is placed among the negatives (`benchmarks/full_size_uncertainty.py` has the speed).
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp


class LabelSplit:
    """Rows of positives and negatives, found once to score many candidates on the same labels.

    Args:
        labels: 0/1 or bool (n,), both present.

    Raises:
        ValueError: other labels, or one class only: no pair to compare.
    """

    def __init__(self, labels: np.ndarray) -> None:
        self.positives = np.flatnonzero(labels == 1)
        self.negatives = np.flatnonzero(labels == 0)
        self.rows = len(labels)
        if len(self.positives) + len(self.negatives) != self.rows:
            raise ValueError(f"Labels must be 0 or 1; found {np.unique(labels)[:5].tolist()}.")
        if not len(self.positives) or not len(self.negatives):
            raise ValueError(
                f"An AUC needs both classes: {len(self.positives)} positives, {len(self.negatives)} negatives."
            )

    def auc(self, scores: np.ndarray) -> float:
        """The exact AUC (Mann-Whitney, ties count half) of `scores` (n,)."""
        scores = np.ascontiguousarray(scores)  # a column of a wide table is slow to pick from
        _check_scores(scores, self.rows)
        positives, negatives = np.sort(scores[self.positives]), np.sort(scores[self.negatives])
        doubled = int(doubled_places(positives, negatives).sum())
        return doubled / (2 * len(positives) * len(negatives))


class FoldSplit:
    """Rows of positives and negatives of each fold, to score many candidates as `pooled_auc` does.

    Args:
        labels: int (n,), 0 to classes - 1, every class present.
        folds: int (n,); a fold may lack a class.
    """

    def __init__(self, labels: np.ndarray, folds: np.ndarray) -> None:
        self._labels = labels
        self._rows = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        self._splits: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def pooled_auc(self, scores: np.ndarray) -> float:
        """What `pooled_auc` gives for one-vs-rest scores (n, outputs), the same to the last bit, faster."""
        classes = [1] if scores.shape[1] == 1 else range(scores.shape[1])
        pairs = zip(classes, scores.T, strict=True)
        return float(np.mean([self._one_against_rest(place, column) for place, column in pairs]))

    def _one_against_rest(self, place: int, scores: np.ndarray) -> float:
        scores = np.ascontiguousarray(scores)
        _check_scores(scores, len(self._labels))
        ranked = [_sorted_ranks(scores[ours], scores[others]) for ours, others in self._split(place)]
        positives, negatives = (np.sort(np.concatenate(part)) for part in zip(*ranked, strict=True))
        doubled = int(doubled_places(positives, negatives).sum())
        return doubled / (2 * len(positives) * len(negatives))

    def _split(self, place: int) -> list[tuple[np.ndarray, np.ndarray]]:
        if place not in self._splits:
            LabelSplit(self._labels == place)
            ours = [self._labels[rows] == place for rows in self._rows]
            self._splits[place] = [
                (rows[mine], rows[~mine]) for rows, mine in zip(self._rows, ours, strict=True)
            ]
        return self._splits[place]


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The exact AUC (Mann-Whitney, ties count half) of `scores` (n,) for `labels` 0/1 (n,).

    Args:
        weights: (n,), 0 or more: each pair counts as the product of its two weights. None: every pair once.

    Raises:
        ValueError: one class only (or no weight on it), a score or weight that is not a number, a negative weight.
    """
    split = LabelSplit(np.asarray(labels))
    if weights is None:
        return split.auc(np.asarray(scores))
    return _weighted_auc(split, np.asarray(scores), np.asarray(weights, np.float64))


def aucs(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The exact AUC of each column of `scores` (n, members) for `labels` 0/1 (n,): float64 (members,)."""
    split = LabelSplit(labels)
    return np.array([split.auc(column) for column in scores.T])


def doubled_places(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Twice the number of negatives below each positive, a tie counting half; both sorted. int64."""
    below, upto = _places(positives, negatives)
    return np.asarray(below + upto)


def percentile_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks of `scores` (n,) as float64 in (0, 1]; ties share their mean rank.

    Raises:
        ValueError: a score that is not a number has no rank.
    """
    return _ranks(scores) / len(scores)


def ranks_within_folds(scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Percentile mid-ranks in (0, 1) taken fold by fold: fold models are not calibrated to each other.

    The mean of a fold is .5 whatever its size, so scores that say nothing have an AUC of .5 in folds of any size.
    """
    ranks = np.empty(len(scores), np.float64)
    for fold in np.unique(folds):
        chosen = folds == fold
        ranks[chosen] = (_ranks(scores[chosen]) - 0.5) / chosen.sum()
    return ranks


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks 1, 2, ... of `scores` (n,), float64; ties share their mean rank."""
    _check_scores(scores, len(scores))
    order = np.argsort(scores)
    ranks = np.empty(len(scores), np.float64)
    ranks[order] = _mean_places(np.asarray(scores)[order])
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
    return FoldSplit(labels, folds).pooled_auc(one_vs_rest(logits))


def _check_scores(scores: np.ndarray, rows: int) -> None:
    if np.shape(scores) != (rows,):
        raise ValueError(f"Scores have the shape {np.shape(scores)}, the labels ({rows},).")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum()):,} of {rows:,} scores are not a number.")


def _mean_places(ordered: np.ndarray) -> np.ndarray:
    """Places 1, 2, ... of sorted values; equal values share the mean of theirs."""
    places = np.arange(1.0, len(ordered) + 1)
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else places
    if len(first) == len(ordered):
        return places
    sizes = np.diff(np.append(first, len(ordered)))
    return np.repeat(first + (sizes + 1) / 2, sizes)


def _places(positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many negatives lie below each positive, and how many are no greater; both sorted."""
    below = np.searchsorted(negatives, positives, "left")
    if not len(negatives) or not np.any(negatives[np.minimum(below, len(negatives) - 1)] == positives):
        return below, below
    return below, np.searchsorted(negatives, positives, "right")


def _sorted_ranks(positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentile mid-ranks among all of a fold, of its positives and of its negatives, each in rising order."""
    positives, negatives = np.sort(positives), np.sort(negatives)
    below, upto = _places(positives, negatives)
    # A positive is below the k-th negative (from 0) if no more than k negatives are no greater than it.
    overtaken = [
        np.cumsum(np.bincount(side, minlength=len(negatives)))[: len(negatives)] for side in (upto, below)
    ]
    rows = len(positives) + len(negatives)
    return (
        (_mean_places(positives) + (below + upto) / 2 - 0.5) / rows,
        (_mean_places(negatives) + (overtaken[0] + overtaken[1]) / 2 - 0.5) / rows,
    )


def _weighted_auc(split: LabelSplit, scores: np.ndarray, weights: np.ndarray) -> float:
    _check_scores(scores, split.rows)
    if weights.shape != (split.rows,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"Weights must be {split.rows:,} finite numbers, none below 0.")
    order = split.negatives[np.argsort(scores[split.negatives])]
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    positives = scores[split.positives]
    places = [np.searchsorted(scores[order], positives, side) for side in ("left", "right")]
    pairs = weights[split.positives].sum() * below[-1]
    if pairs <= 0:
        raise ValueError("An AUC needs weight on both classes.")
    return float(weights[split.positives] @ (below[places[0]] + below[places[1]]) / (2 * pairs))
