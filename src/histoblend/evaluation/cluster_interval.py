"""From resamples of clusters to an interval: which scale, how many standard errors, and when there is none.

Chosen by simulation (400 draws each of 20, 40, 100 and 200 slides that differ in size, prevalence and level, four
degrees of that; folds dealt as here; the truth from 20,000 slides). Nominally 95 %, the percentile interval held the
truth in 80 to 93 % of draws, Student's t around the logit of the AUC with clusters - 1 degrees of freedom in 83 to
97 %, the same with the effective clusters (`effective_clusters`) in 90 to 99 %, which is what is used; DeLong's, which
takes patches as independent, in 24 to 72 %. What is missed lies below: slides on which a model fails are rare. The
interval of a paired difference, by the same t, held it in 95 to 98 %.

With AUCs of .93 to .995 a single fold of 6, 12 and 20 slides, 25 to 400 patches each (150 to 300 draws), held it in
94 to 100 %. Five folds, dealt as here, of 20 slides and AUC .985 held it in 97 %, of 12 slides in 93.5 % (200 draws):
folds of two or three slides differ in prevalence, ranks within them put the AUC itself .03 too low, and the interval
is wide enough by chance. Folds dealt blindly to the labels of 12 slides held it in half of draws.

The same rule makes the intervals of sensitivity and its like, on their own scale, and the bands of curves
(resampled_counts.py). Of a sensitivity of .90 and .97 at a threshold that is given, with 12, 20 and 40 slides (400
draws each), it held the truth in 94 to 95 %; clusters - 1 degrees of freedom in 84 to 89 %. Bands were not simulated.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

LEVEL = 0.95
FEWEST_CLUSTERS = 5
FEWEST_HOLDING_A_CLASS = 3
ENOUGH_CLUSTERS = 40


def effective_clusters(influence: np.ndarray) -> float:
    """How many clusters decide, given the influence of each (clusters,): 1 if a single one does all.

    The square of the sum of squares over the sum of fourth powers. Where influences are spread as a normal
    distribution it is a third of the clusters, where all are equal it is their number; 0 where none has any.
    """
    squares = np.square(influence / (np.abs(influence).max() or 1.0))
    fourth = float(np.square(squares).sum())
    return float(squares.sum()) ** 2 / fourth if fourth > 0 else 0.0


def freedom(influence: np.ndarray) -> float:
    """Degrees of freedom of Student's t: the effective clusters, at most one less than there are."""
    return float(np.clip(effective_clusters(influence), 1.0, max(1, len(influence) - 1)))


def spread(draws: np.ndarray, clusters: int) -> np.ndarray:
    """Standard error over resamples (resamples, ...), with the share that drawing with replacement loses: (...).

    Resamples in which a figure is undefined (NaN) do not count; NaN where fewer than two are left.
    """
    enough = (~np.isnan(draws)).sum(axis=0) > 1
    filled = np.where(enough, draws, 0.0)
    lost = np.sqrt(clusters / (clusters - 1))
    return np.asarray(np.where(enough, np.nanstd(filled, axis=0, ddof=1) * lost, np.nan))


def on_logit_scale(draws: np.ndarray, auc: float, clusters: int) -> np.ndarray:
    """Resampled AUCs as logits; what is nearer to 0 or 1 than a share 1/clusters of the way from `auc` is moved there.

    A resample without a fault has a logit without bound, and a standard error needs one. It comes from the clusters:
    one taken from the patches would widen the interval where each patch is merely repeated.
    """
    return np.asarray(logit(np.clip(draws, auc / clusters, 1 - (1 - auc) / clusters)))


def logit_limits(auc: float, error: float, degrees: float | None) -> tuple[float, float]:
    """Limits of the AUC from its standard error on the logit scale; `degrees` None: the normal distribution's."""
    reach = reach_of(degrees) * error
    return float(expit(logit(auc) - reach)), float(expit(logit(auc) + reach))


def prediction_limits(
    auc: float, seen: np.ndarray, ahead: np.ndarray, degrees: float, clusters: int
) -> tuple[float, float]:
    """Limits of an AUC still to be measured, from resamples of what was seen and draws of what lies ahead.

    Quantiles of the logit of a new draw with the error of the estimate, of either sign, stretched around the estimate
    as Student's t is wider than the normal. A standard error would not do: few new slides are often ranked without a
    fault, whose logit has no bound (simulated with 5 new slides: twice the width for the same coverage).

    Args:
        seen: logits (resamples,) of resamples of the slides seen, all finite or NaN where undefined.
        ahead: of draws of the new ones; infinite where all pairs are in one order, NaN where undefined.
    """
    centre = float(logit(auc))
    scattered = np.concatenate([ahead - (seen - centre), ahead + (seen - centre)])
    quantiles = np.quantile(
        scattered[~np.isnan(scattered)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf"
    )  # a value that is there: between an infinite one and another there is nothing
    stretch = reach_of(degrees) / reach_of(None) * np.sqrt(clusters / (clusters - 1))
    low, high = expit(centre + stretch * (quantiles - centre))
    return float(low), float(high)


def reach_of(degrees: float | None) -> float:
    """How many standard errors an interval of `LEVEL` reaches to either side."""
    return float(student.ppf((1 + LEVEL) / 2, np.inf if degrees is None else degrees))


def two_sided(gain: float, error: float, degrees: float | None) -> float:
    """p of a gain, from the distribution its interval is made by; 1 for none, NaN where there is no variance."""
    if gain == 0 and error == 0:
        return 1.0
    if not error > 0:
        return float("nan")
    return float(2 * student.sf(abs(gain) / error, np.inf if degrees is None else degrees))
