"""How much members resemble each other, and what each brings to the equal mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from histoblend.blending.mixture import ranks_in_groups
from histoblend.blending.training import Training
from histoblend.evaluation.auc import one_vs_rest, pooled_auc
from histoblend.evaluation.uncertainty import Ground, differences


@dataclass(frozen=True)
class Contribution:
    """What a member brings: the AUC of the equal mean of all less that of the equal mean without it."""

    member: str
    auc_without: float
    gain: float
    standard_error: float


@dataclass(frozen=True)
class Gate:
    """Places of the members that a diversity gate lets through, and why the others stay out, by name."""

    kept: np.ndarray
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class Gates:
    """The gate closed by all folds, and by all but each one."""

    whole: Gate
    without: Mapping[int, Gate]


def spearman(logits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Spearman's correlation float64 (members, members) of logits (n, members, outputs), ranks within group.

    With more classes over the log-odds of each class against the rest; 0 beside a member that is constant.
    """
    scores = np.stack([one_vs_rest(member) for member in np.moveaxis(logits, 1, 0)], axis=1)
    ranks = ranks_in_groups(scores, groups) - 0.5  # of which the mean within a group is zero, ties or none
    columns = np.moveaxis(ranks, 1, 2).reshape(-1, logits.shape[1])
    products = columns.T @ columns
    lengths = np.sqrt(np.diag(products))
    scale = np.outer(lengths, lengths)
    found = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return np.clip(found, -1.0, 1.0)


def gates(training: Training, limit: float) -> Gates:
    """Every gate that a nested audit needs, found once for all of its rules."""
    folds = [int(fold) for fold in np.unique(training.groups)]
    return Gates(
        gate(training, limit), {fold: gate(training.rows(training.groups != fold), limit) for fold in folds}
    )


def gate(training: Training, limit: float) -> Gate:
    """Of any two members that correlate above `limit`, leave out the one with the lower AUC on these rows.

    The best member comes first, each further one stays if it correlates with none of those kept by more than `limit`.
    """
    objective = training.objective()
    values = np.array([objective(training.logits[:, member]) for member in range(training.members)])
    correlation = spearman(training.logits, training.groups)
    kept: list[int] = []
    reasons = {}
    for place in np.argsort(-values, kind="stable"):
        twins = [other for other in kept if correlation[place, other] > limit]
        if not twins:
            kept.append(int(place))
            continue
        closest = max(twins, key=lambda other: correlation[place, other])
        reasons[training.names[place]] = (
            f"ranks as {training.names[closest]} does (Spearman {correlation[place, closest]:.4f}, gate {limit:g}), "
            f"whose AUC is higher ({values[closest]:.4f}, {values[place]:.4f})"
        )
    return Gate(np.sort(kept), reasons)


def contributions(names: tuple[str, ...], logits: np.ndarray, ground: Ground) -> list[Contribution]:
    """What each member brings to the equal logit mean of all; empty for one member.

    Args:
        logits: out-of-fold logits float64 (n, members, outputs).
    """
    if len(names) == 1:
        return []
    whole = logits.sum(axis=1)
    without = [(whole - logits[:, member]) / (len(names) - 1) for member in range(len(names))]
    columns = np.stack([whole / len(names), *without], axis=1)
    return [
        Contribution(
            name, pooled_auc(ground.labels, mean, ground.folds), -found.gain, found.interval.standard_error
        )
        for name, mean, found in zip(names, without, differences(ground, columns, 0)[1:], strict=True)
    ]
