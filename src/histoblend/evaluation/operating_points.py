"""What a classifier does at chosen points of its ROC curve: the threshold met on patches it was not chosen on.

The threshold of a fold is read off the out-of-fold logits of the other folds and then applied to that fold, so the
sensitivity that is reached is an honest one and differs from the one that was asked for; it bears the cost of fold
models that are not calibrated to each other, too. Intervals are of the patches met, with the thresholds as they are;
where no interval can be had its limits are NaN, with the reason in its warning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.cautions import about_clusters, refusal
from histoblend.evaluation.cluster_interval import FEWEST_HOLDING_A_CLASS
from histoblend.evaluation.judging import METHODS, NOTHING
from histoblend.evaluation.resampled_counts import (
    cluster_counts,
    drawn_clusters,
    reach_over,
    resampled_counts,
)
from histoblend.evaluation.slide_bootstrap import Clusters
from histoblend.evaluation.uncertainty import LEVEL, Ground, Interval
from histoblend.inference.predict import sigmoid

SENSITIVITY, SPECIFICITY, YOUDEN = "sensitivity", "specificity", "Youden"
ASKED: tuple[tuple[str, float | None], ...] = (
    *((SENSITIVITY, value) for value in (0.90, 0.95, 0.99)),
    *((SPECIFICITY, value) for value in (0.90, 0.95, 0.99)),
    (YOUDEN, None),
)
MEASURES = ("sensitivity", "specificity", "positive predictive value", "negative predictive value")


@dataclass(frozen=True)
class Measure:
    """A share and its interval; NaN and None where nothing is there to take a share of.

    The limits of the interval are NaN where none can be had; its warning says why.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class OperatingPoint:
    """What was asked for, where the threshold lies, and what is reached.

    Attributes:
        asked: ``sensitivity``, ``specificity`` or ``Youden`` (their sum at its highest); `at_least`: how much of it.
        threshold: probability of class 1 from which a new patch is called positive: of all folds.
        thresholds_by_fold: those that were judged: of the other folds.
        measures: by name (`MEASURES`), cross-fitted.
    """

    asked: str
    at_least: float | None
    threshold: float
    thresholds_by_fold: dict[int, float]
    measures: dict[str, Measure]


def operating_points(ground: Ground, logits: np.ndarray) -> list[OperatingPoint]:
    """All points of `ASKED`, of out-of-fold logits (n, 1) of two classes.

    Raises:
        ConfigRefusal: there are more classes.
        ArtifactRefusal: there is one fold only, or the others of a fold lack a class.
    """
    if logits.shape[1] != 1:
        raise ConfigRefusal("Operating points are of two classes.", "one logit a patch")
    scores = logits[:, 0]
    numbers = np.unique(ground.folds)
    if len(numbers) < 2:
        raise ArtifactRefusal(
            f"Only fold {numbers[0]} is there.", "two folds or more: a threshold is judged on another fold"
        )
    chosen = {int(fold): _thresholds(ground.labels, scores, ground.folds != fold) for fold in numbers}
    overall = _thresholds(ground.labels, scores, np.ones(len(scores), bool))
    return [
        _point(ground, scores, place, overall[place], {fold: found[place] for fold, found in chosen.items()})
        for place in range(len(ASKED))
    ]


def _thresholds(labels: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> list[float]:
    """Logit of each point of `ASKED` on the patches `rows`: the one that meets it at the least cost."""
    present = np.unique(labels[rows])
    if len(present) < 2:
        raise ArtifactRefusal(
            f"Some folds together hold patches of class {present[0]} only.",
            "both classes in every set of folds",
        )
    false, true, levels = roc_curve(labels[rows], scores[rows], drop_intermediate=False)
    return [_threshold(asked, value, false, true, levels) for asked, value in ASKED]


def _threshold(
    asked: str, value: float | None, false: np.ndarray, true: np.ndarray, levels: np.ndarray
) -> float:
    if value is None:
        return float(levels[np.argmax(true - false)])
    if asked == SENSITIVITY:
        return float(levels[np.argmax(true >= value)])  # the first, so the highest
    return float(levels[len(false) - 1 - np.argmax((1 - false >= value)[::-1])])


def _point(
    ground: Ground, scores: np.ndarray, place: int, threshold: float, by_fold: dict[int, float]
) -> OperatingPoint:
    numbers, where = np.unique(ground.folds, return_inverse=True)
    levels = np.array([by_fold[int(fold)] for fold in numbers])[where]
    positive = (scores >= levels).astype(np.int64)
    asked, at_least = ASKED[place]
    return OperatingPoint(
        asked,
        at_least,
        _probability(threshold),
        {fold: _probability(level) for fold, level in by_fold.items()},
        _measures(ground, positive),
    )


def _probability(logit: float) -> float:
    return float(sigmoid(np.array(logit)))


def _measures(ground: Ground, positive: np.ndarray) -> dict[str, Measure]:
    """The four measures of the calls `positive` 0/1 (n,)."""
    cells = ground.labels * 2 + positive
    pairs = _pairs(np.bincount(cells, minlength=4).astype(np.float64))
    clusters = drawn_clusters(ground)
    if clusters is None:
        return {name: _wilson(*pair) for name, pair in pairs.items()}
    reason = refusal(ground.labels, clusters, ground.clusters_are)
    drawn = _pairs(resampled_counts(cells, 4, clusters).T)
    by_cluster = _pairs(cluster_counts(cells, 4, clusters).T)
    return {
        name: Measure(
            float(_share(*pair)),
            _over_clusters(ground, clusters, (pair, drawn[name], by_cluster[name]), reason),
        )
        for name, pair in pairs.items()
    }


def _pairs(counts: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Right and wrong calls behind each measure, of counts (4, ...) of label 0/1 called 0/1."""
    true_negative, false_positive, false_negative, true_positive = counts
    pairs = (
        (true_positive, false_negative),
        (true_negative, false_positive),
        (true_positive, false_positive),
        (true_negative, false_negative),
    )
    return dict(zip(MEASURES, pairs, strict=True))


def _wilson(right: np.ndarray, wrong: np.ndarray) -> Measure:
    """Of single patches, as if they were independent: Wilson's interval."""
    patches = int(right + wrong)
    if patches == 0:
        return Measure(float("nan"), None)
    share = float(right / patches)
    found = binomtest(int(right), patches).proportion_ci(LEVEL, method="wilson")
    error = float(np.sqrt(share * (1 - share) / patches))
    warning = about_clusters("patches", None, None)
    return Measure(
        share, Interval(float(found.low), float(found.high), error, LEVEL, "Wilson", None, warning)
    )


Pair = tuple[np.ndarray, np.ndarray]
"""Right and wrong calls behind a measure: of all patches, by resample, or by cluster."""


def _over_clusters(
    ground: Ground, clusters: Clusters, counts: tuple[Pair, Pair, Pair], reason: str | None
) -> Interval | None:
    """Of clusters drawn anew; `counts` of all patches, by resample and by cluster; NaN for `reason`."""
    pair, drawn, (right, wrong) = counts
    value, what = float(_share(*pair)), ground.clusters_are
    if np.isnan(value):
        return None
    method = METHODS[what]
    reason = reason or _nothing_to_tell(value, int((right + wrong > 0).sum()), what)
    if reason:
        return Interval(NOTHING, NOTHING, NOTHING, LEVEL, method, clusters.count, reason)
    found = reach_over(ground, _share(*drawn), clusters, right - value * (right + wrong))
    low, high = max(0.0, value - float(found.half)), min(1.0, value + float(found.half))
    return Interval(low, high, float(found.error), LEVEL, method, clusters.count, found.warning)


def _nothing_to_tell(value: float, holding: int, clusters_are: str) -> str | None:
    """Why a share says nothing of other clusters: it is whole or nothing, or taken of patches of too few clusters."""
    if holding < FEWEST_HOLDING_A_CLASS:
        return f"A share of patches that lie in {holding} {clusters_are} has no interval."
    if value in (0.0, 1.0):
        whole = f"{100 * value:.0f} %"
        return f"A share of {whole} has no interval: nothing says how far new {clusters_are} may lie from it."
    return None


def _share(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Right calls among both; NaN where there is neither."""
    both = right + wrong
    return np.asarray(np.where(both > 0, right / np.where(both > 0, both, 1), np.nan))
