"""One method for all members of a comparison: resampled slides where they are known, DeLong's where they are not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from histoblend.evaluation.auc import one_vs_rest, ranks_within_folds
from histoblend.evaluation.cautions import about_clusters, about_missing, joined, refusal
from histoblend.evaluation.cluster_interval import (
    LEVEL,
    freedom,
    logit_limits,
    on_logit_scale,
    reach_of,
    spread,
    two_sided,
)
from histoblend.evaluation.patch_variance import patch_covariance
from histoblend.evaluation.slide_bootstrap import Clusters, Resampled, clusters_of, resample
from histoblend.evaluation.verdicts import Difference, Ground, Interval

METHODS = {
    "slides": "slide bootstrap",
    "pseudo-slides": "slide bootstrap on pseudo-slides (clusters of stain)",
    "patches": "DeLong",
}
NOTHING = float("nan")


@dataclass(frozen=True)
class Judged:
    """All members under one method, so that they can be compared.

    Attributes:
        members: resampled; empty where patches are independent.
        aucs: (members,); `covariance`: (members, members), of independent patches only.
    """

    ground: Ground
    clusters: Clusters | None
    members: list[Resampled]
    aucs: np.ndarray
    covariance: np.ndarray


def judge(ground: Ground, logits: np.ndarray) -> Judged:
    """Resample, or take DeLong's covariance of, all members of logits (n, members, outputs)."""
    ranked = (member_ranks(ground, logits[:, member]) for member in range(logits.shape[1]))
    if ground.slides is None:
        aucs, covariance = patch_covariance(ground.labels, ranked)
        return Judged(ground, None, [], aucs, covariance)
    clusters = clusters_of(ground.slides)
    members = [resample(ground.labels, ranks, clusters) for ranks in ranked]
    return Judged(ground, clusters, members, np.array([member.auc for member in members]), np.empty((0, 0)))


def member_ranks(ground: Ground, logits: np.ndarray) -> np.ndarray:
    """Percentile ranks within fold (n, outputs) of one member's one-vs-rest scores."""
    return np.stack([ranks_within_folds(column, ground.folds) for column in one_vs_rest(logits).T], axis=1)


def interval_of_auc(judged: Judged, place: int) -> Interval:
    """The interval of a member's AUC; NaN with the reason where there is none."""
    auc = float(judged.aucs[place])
    reason = refusal(judged.ground.labels, judged.clusters, judged.ground.clusters_are)
    if not reason and auc in (0.0, 1.0):
        reason = f"The AUC is {auc:.0f}: all pairs are in one order, so nothing says how far new ones could be from it."
    if reason:
        return _without(judged, reason)
    if judged.clusters is None:
        error = float(np.sqrt(judged.covariance[place, place]))
        low, high = logit_limits(auc, error / (auc * (1 - auc)), None)
        return _interval(judged, (low, high, error), None)
    member, count = judged.members[place], judged.clusters.count
    scaled = on_logit_scale(member.draws, auc, count)
    low, high = logit_limits(auc, float(spread(scaled, count)), freedom(member.influence))
    return _interval(judged, (low, high, float(spread(member.draws, count))), member)


def difference_of(judged: Judged, place: int, reference: int) -> Difference:
    """One member minus another; of a member and itself all is 0, whatever the clusters."""
    gain = float(judged.aucs[place] - judged.aucs[reference])
    reason = refusal(judged.ground.labels, judged.clusters, judged.ground.clusters_are)
    if reason and place == reference:
        itself = replace(_without(judged, reason), low=0.0, high=0.0, standard_error=0.0)
        return Difference(0.0, itself, 1.0)
    if reason:
        return Difference(gain, _without(judged, reason), NOTHING)
    member, error, degrees = _paired(judged, place, reference)
    if error == 0 and gain != 0:
        return Difference(
            gain, _without(judged, "It does not vary, so there is nothing to test it by."), NOTHING
        )
    reach = reach_of(degrees) * error
    limits = (max(-1.0, gain - reach), min(1.0, gain + reach), error)
    return Difference(gain, _interval(judged, limits, member), two_sided(gain, error, degrees))


def _paired(judged: Judged, place: int, reference: int) -> tuple[Resampled | None, float, float | None]:
    """The resampled difference (None of independent patches), its standard error and degrees of freedom."""
    if judged.clusters is None:
        pair = judged.covariance[np.ix_([place, reference], [place, reference])]
        return None, float(np.sqrt(max(0.0, np.trace(pair) - pair[0, 1] - pair[1, 0]))), None
    member = _minus(judged.members[place], judged.members[reference])
    return member, float(spread(member.draws, judged.clusters.count)), freedom(member.influence)


def _minus(one: Resampled, other: Resampled) -> Resampled:
    return Resampled(
        one.auc - other.auc,
        one.draws - other.draws,
        one.influence - other.influence,
    )


def _interval(judged: Judged, limits: tuple[float, float, float], member: Resampled | None) -> Interval:
    """An interval of (low, high, standard error) with what is to be said of it."""
    low, high, error = limits
    count = None if judged.clusters is None else judged.clusters.count
    cautions = [
        about_clusters(judged.ground.clusters_are, count, None if member is None else member.influence)
    ]
    if member is not None:
        cautions.append(about_missing(member.draws, "resamples"))
    return Interval(low, high, error, LEVEL, METHODS[judged.ground.clusters_are], count, joined(cautions))


def _without(judged: Judged, reason: str) -> Interval:
    count = None if judged.clusters is None else judged.clusters.count
    return Interval(NOTHING, NOTHING, NOTHING, LEVEL, METHODS[judged.ground.clusters_are], count, reason)
