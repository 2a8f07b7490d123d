"""How far a score can be trusted: intervals of AUCs, of their paired differences, and of scores on new slides.

Where slides are known whole slides are resampled; where they are not, patches count as independent (DeLong) and the
interval says that it is too short. An interval that cannot be had is NaN, with the reason in its warning.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import logit

from histoblend.evaluation.cautions import about_missing, joined
from histoblend.evaluation.cluster_interval import LEVEL, freedom, on_logit_scale, prediction_limits, spread
from histoblend.evaluation.judging import NOTHING, difference_of, interval_of_auc, judge, member_ranks
from histoblend.evaluation.slide_bootstrap import SEED, resample, slide_counts
from histoblend.evaluation.verdicts import Difference, Estimate, Ground, Interval, ground_of

__all__ = [
    "LEVEL",
    "Difference",
    "Estimate",
    "Ground",
    "Interval",
    "differences",
    "estimates",
    "ground_of",
    "prediction_interval",
]


def estimates(ground: Ground, logits: np.ndarray) -> list[Estimate]:
    """AUC and interval of each member of out-of-fold logits (n, members, outputs).

    Raises:
        ValueError: a class is missing, a logit is not a number, or slides are known for some patches only.
    """
    judged = judge(ground, logits)
    return [Estimate(float(auc), interval_of_auc(judged, place)) for place, auc in enumerate(judged.aucs)]


def differences(ground: Ground, logits: np.ndarray, reference: int) -> list[Difference]:
    """Each member minus member `reference` (itself: gain 0, p 1) of logits (n, members, outputs), paired.

    Raises:
        ValueError: as `estimates`.
    """
    judged = judge(ground, logits)
    return [difference_of(judged, place, reference) for place in range(len(judged.aucs))]


def prediction_interval(ground: Ground, logits: np.ndarray, new_slides: int) -> Interval:
    """Where the AUC of the same kind of predictor is expected on `new_slides` NEW slides; logits (n, outputs).

    A confidence interval is of the AUC over all slides there could be; a score on a few new slides scatters around
    that by itself, as draws of `new_slides` from the slides seen do; the estimate's error comes on top. It does not
    foresee slides of another kind (scanner, stain, hospital), nor what is gained by averaging fold models.

    Raises:
        ValueError: as `estimates`, or fewer than one new slide.
    """
    if new_slides < 1:
        raise ValueError(f"{new_slides} new slides: there must be one or more.")
    judged = judge(ground, logits[:, None, :])
    now = interval_of_auc(judged, 0)
    if judged.clusters is None or np.isnan(now.low):
        why = now.warning if judged.clusters else "No slide is known, so nothing says how slides differ."
        return _nothing(now, why)
    member, count = judged.members[0], judged.clusters.count
    drawn = replace(judged.clusters, drawn=slide_counts(count, seed=SEED + 1, size=new_slides))
    fresh = resample(ground.labels, member_ranks(ground, logits), drawn).draws
    missing = about_missing(fresh, f"draws of {new_slides:,} {ground.clusters_are}")
    method = f"prediction on {new_slides:,} new {ground.clusters_are}, {now.method}"
    if np.isnan(fresh).mean() > 0.5:
        return _nothing(
            replace(now, method=method), f"{missing} So many that nothing is left to predict from."
        )
    seen = on_logit_scale(member.draws, member.auc, count)
    low, high = prediction_limits(member.auc, seen, logit(fresh), freedom(member.influence), count)
    error = float(np.hypot(now.standard_error, spread(fresh, count)))
    return Interval(low, high, error, LEVEL, method, count, joined([now.warning, missing]))


def _nothing(interval: Interval, why: str | None) -> Interval:
    return replace(interval, low=NOTHING, high=NOTHING, standard_error=NOTHING, warning=why)
