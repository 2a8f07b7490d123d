"""ROC and precision-recall curves of out-of-fold predictions, thin enough to draw, with bands.

The models of different folds are pooled on percentile ranks within fold, as the pooled AUC is: the area under the
ROC curve is that AUC. Bands come from drawing slides anew, vertically at fixed false positive rate or recall; the
scores stay as they are, so a band tells of the patches met, not of another training. It is as many standard errors
wide as the interval of the AUC; where that is refused, there is no band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_curve

from histoblend.evaluation.auc import LabelSplit, auc, one_vs_rest, ranks_within_folds
from histoblend.evaluation.cautions import refusal
from histoblend.evaluation.delong import influences
from histoblend.evaluation.resampled_counts import RESAMPLES, drawn_clusters, reach_over, resampled_counts
from histoblend.evaluation.slide_bootstrap import Clusters
from histoblend.evaluation.uncertainty import Ground

POINTS = 400  # of a drawn curve: no step is longer than 1/200 of the axes
GRID = np.linspace(0, 1, 201)  # where the bands are known


@dataclass(frozen=True)
class Curve:
    """A curve of one class against the rest.

    Attributes:
        x: false positive rate, or recall, rising; `y`: true positive rate, or precision; float64 (points,).
        area: AUC, or average precision, of all patches: not of the thinned points.
        grid: where the band is known; `low`, `high`: its borders there, in [0, 1], 95 % at each place; NaN: no band.
        method: how the band was found; `clusters`: over how many draws of what.
        warning: what is to be said of the band, or why there is none.
    """

    x: np.ndarray
    y: np.ndarray
    area: float
    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray
    method: str
    clusters: int
    warning: str | None


@dataclass(frozen=True)
class Curves:
    """Both curves of a class; `share` is that of its patches: the precision of chance."""

    roc: Curve
    precision_recall: Curve
    share: float


def pooled_curves(ground: Ground, logits: np.ndarray) -> dict[int, Curves]:
    """Curves of out-of-fold logits (n, outputs), by class: of class 1 only where there are two."""
    scores = one_vs_rest(logits)
    classes = [1] if scores.shape[1] == 1 else range(scores.shape[1])
    return {
        number: _curves(ground, (ground.labels == number).astype(np.int64), column)
        for number, column in zip(classes, scores.T, strict=True)
    }


@dataclass(frozen=True)
class _Ranked:
    """What both curves of a class are made of; `clusters` are None and `influence` is empty without slides."""

    ground: Ground
    labels: np.ndarray
    ranks: np.ndarray
    clusters: Clusters | None
    influence: np.ndarray

    @property
    def count(self) -> int:
        return len(self.labels) if self.clusters is None else self.clusters.count


def _curves(ground: Ground, labels: np.ndarray, scores: np.ndarray) -> Curves:
    ranks, clusters = ranks_within_folds(scores, ground.folds), drawn_clusters(ground)
    ranked = _Ranked(ground, labels, ranks, clusters, _influence(labels, ranks, clusters))
    rates = roc_curve(labels, ranks, drop_intermediate=False)
    return Curves(_roc(ranked, rates), _precision_recall(ranked, rates), float(labels.mean()))


def _influence(labels: np.ndarray, ranks: np.ndarray, clusters: Clusters | None) -> np.ndarray:
    """Of each cluster on the AUC; empty without clusters."""
    if clusters is None:
        return np.empty(0)
    by_patch = influences(LabelSplit(labels), ranks)
    return np.bincount(clusters.numbers, weights=by_patch, minlength=clusters.count)


Rates = tuple[np.ndarray, np.ndarray, np.ndarray]
"""False and true positive rate at each threshold, the thresholds falling; the first is infinite: none is called."""


def _roc(ranked: _Ranked, rates: Rates) -> Curve:
    false, true, thresholds = rates
    kept = thinned(false, true)
    drawn_false, drawn_true = _resampled_rates(ranked, thresholds[kept[1:]])
    start = np.zeros((len(drawn_false), 1))
    drawn = np.array(
        [
            np.interp(GRID, x, y)
            for x, y in zip(np.hstack([start, drawn_false]), np.hstack([start, drawn_true]), strict=True)
        ]
    )
    middle = np.interp(GRID, false[kept], true[kept])
    return _banded(ranked, (false[kept], true[kept], auc(ranked.labels, ranked.ranks)), middle, drawn)


def _precision_recall(ranked: _Ranked, rates: Rates) -> Curve:
    labels = ranked.labels
    false, recall, thresholds = (values[1:] for values in rates)
    precision = _precision(false * (labels == 0).sum(), recall * labels.sum())
    kept = thinned(recall, precision)
    drawn_false, drawn_recall = _resampled_rates(ranked, thresholds[kept], rate=False)
    drawn = np.array(
        [
            precision_at_recalls(
                true / true[-1] if true[-1] else np.full_like(true, np.nan), _precision(negative, true)
            )
            for negative, true in zip(drawn_false, drawn_recall, strict=True)
        ]
    )
    middle = precision_at_recalls(recall[kept], precision[kept])
    area = float(average_precision_score(labels, ranked.ranks))
    return _banded(ranked, (recall[kept], precision[kept], area), middle, drawn)


def _precision(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Share of true positives among those called, of counts; 1 where none is called."""
    called = false + true
    return np.asarray(np.where(called > 0, true / np.where(called > 0, called, 1), 1.0))


def precision_at_recalls(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Precision at the first threshold that reaches each recall of the grid, as average precision counts it."""
    if not np.isfinite(recall).all():
        return np.full(len(GRID), np.nan)
    return np.asarray(precision[np.minimum(np.searchsorted(recall, GRID), len(recall) - 1)])


def _resampled_rates(
    ranked: _Ranked, thresholds: np.ndarray, rate: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Negatives and positives called at each threshold (falling, the last calls all), in each resample.

    Returns:
        Two arrays float64 (resamples, thresholds), as rates or as counts.
    """
    bins = len(thresholds)
    place = np.searchsorted(-thresholds, -ranked.ranks)
    counts = resampled_counts(ranked.labels * bins + place, 2 * bins, ranked.clusters)
    called = counts.reshape(RESAMPLES, 2, bins).cumsum(axis=2)
    if rate:
        with np.errstate(invalid="ignore"):
            called = called / called[:, :, -1:]  # NaN where a resample lacks a class
    return called[:, 0], called[:, 1]


def _banded(
    ranked: _Ranked, curve: tuple[np.ndarray, np.ndarray, float], middle: np.ndarray, drawn: np.ndarray
) -> Curve:
    """The curve (x, y, area) with its band around `middle` (grid,), from resamples `drawn` (resamples, grid)."""
    ground, method = ranked.ground, f"bootstrap of {ranked.ground.clusters_are}"
    reason = refusal(ranked.labels, ranked.clusters, ground.clusters_are)
    if not reason and not 0 < auc(ranked.labels, ranked.ranks) < 1:
        reason = "All pairs are in one order, so nothing says how far new ones could be from it."
    if reason:
        none = np.full(len(GRID), np.nan)
        return Curve(*curve, GRID, none, none, method, ranked.count, reason)
    found = reach_over(ground, drawn, ranked.clusters, ranked.influence)
    low, high = np.clip(middle - found.half, 0, 1), np.clip(middle + found.half, 0, 1)
    return Curve(*curve, GRID, low, high, method, ranked.count, found.warning)


def thinned(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Places of at most `points` points, first and last among them, evenly spaced along the way |dx| + |dy|."""
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.searchsorted(way, np.linspace(0, way[-1], points))
    return np.unique(np.concatenate([[0], np.minimum(wanted, len(x) - 1), [len(x) - 1]]))


def roc_points(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates of `scores` (n,) for `labels` 0/1, thin enough to draw."""
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    kept = thinned(false, true)
    return false[kept], true[kept]
