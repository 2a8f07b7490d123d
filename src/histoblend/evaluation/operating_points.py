"""What a classifier does at chosen points of its ROC curve: the threshold met on patches it was not chosen on.

The threshold of a fold is read off the out-of-fold logits of the other folds and then applied to that fold, so the
sensitivity that is reached is an honest one and differs from the one that was asked for; it bears the cost of fold
models that are not calibrated to each other, too. Intervals are of the patches met, with the thresholds as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.cluster_interval import ENOUGH_CLUSTERS
from histoblend.evaluation.resampled_counts import reach_of, resampled_counts, spread
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
    """A share and its interval; NaN and None where nothing is there to take a share of."""

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
    counts = np.bincount(cells, minlength=4).astype(np.float64)
    drawn, clusters = (None, None) if ground.slides is None else resampled_counts(ground, cells, 4)
    result = {}
    for name, pair in _pairs(counts).items():
        if drawn is None or clusters is None:
            result[name] = _wilson(*pair)
        else:
            result[name] = _clustered(pair, _pairs(drawn.T)[name], clusters)
    return result


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
    interval = Interval(float(found.low), float(found.high), error, LEVEL, "Wilson", patches, None)
    return Measure(share, interval)


def _clustered(
    pair: tuple[np.ndarray, np.ndarray], drawn: tuple[np.ndarray, np.ndarray], clusters: int
) -> Measure:
    """Of slides drawn anew."""
    value = float(_share(*pair))
    if np.isnan(value):
        return Measure(value, None)
    error = float(spread(_share(*drawn), clusters))
    half = error * reach_of(clusters)
    low, high = max(0.0, value - half), min(1.0, value + half)
    warning = f"Over {clusters} clusters only." if clusters < ENOUGH_CLUSTERS else None
    return Measure(value, Interval(low, high, error, LEVEL, "slide bootstrap", clusters, warning))


def _share(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Right calls among both; NaN where there is neither."""
    both = right + wrong
    return np.asarray(np.where(both > 0, right / np.where(both > 0, both, 1), np.nan))
