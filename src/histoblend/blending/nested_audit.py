"""What each rule is worth: weights learned on all folds but one, scored on that one.

A rule that learns flatters itself on the rows it learned from. Its cross-fitted score does not: fold k is scored by
weights that no label of fold k has touched. The difference of the two is its optimism.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from histoblend.blending.diversity import gate
from histoblend.blending.mixture import Mixture, mixed
from histoblend.blending.rules import REFERENCE, Row
from histoblend.blending.training import Training
from histoblend.evaluation.uncertainty import Difference, Ground, differences

Count = Callable[[int, int], None]
"""Told (done, all), in rules."""


@dataclass(frozen=True)
class CrossFit:
    """A rule's weights and its out-of-fold predictions.

    Attributes:
        learned: from all folds.
        by_fold: from all folds but this one.
        in_sample: logits float64 (n, outputs) of every patch by `learned`.
        cross_fitted: of each patch by the weights of its own fold.
    """

    learned: Mixture
    by_fold: Mapping[int, Mixture]
    in_sample: np.ndarray
    cross_fitted: np.ndarray

    @property
    def learns(self) -> bool:
        """Whether labels had a say: in the weights, or in whom a gate let through."""
        return self.cross_fitted is not self.in_sample


@dataclass(frozen=True)
class Verdict:
    """What the audit found about a rule; `difference` is its cross-fitted AUC less that of the reference."""

    rule: str
    row: Row
    fit: CrossFit
    auc_in_sample: float
    auc_cross_fitted: float
    difference: Difference

    @property
    def error(self) -> float:
        """The standard error of the gain over the reference, NaN where it cannot be told."""
        return self.difference.interval.standard_error

    @property
    def optimism(self) -> float:
        """By how much the rule flatters itself."""
        return self.auc_in_sample - self.auc_cross_fitted


def nested_audit(
    training: Training,
    ground: Ground,
    rules: Mapping[str, Row],
    limit: float | None = None,
    count: Count = lambda done, of: None,
) -> list[Verdict]:
    """Judge each of `rules`, the reference among them, by what it is worth on folds it has not learned from.

    Args:
        training: out-of-fold logits of all patches; its groups are the folds of `ground`.
        limit: `blend.gate`; the gate too is closed by the folds that are learned from alone.
    """
    fits: dict[str, CrossFit] = {}
    for number, (name, row) in enumerate(rules.items()):
        fits[name] = cross_fit(training, row, limit)
        count(number + 1, len(rules))
    objective = training.objective()
    columns = np.stack([fit.cross_fitted for fit in fits.values()], axis=1)
    found = differences(ground, columns, list(fits).index(REFERENCE))
    return [
        Verdict(name, rules[name], fit, objective(fit.in_sample), objective(fit.cross_fitted), difference)
        for (name, fit), difference in zip(fits.items(), found, strict=True)
    ]


def cross_fit(training: Training, row: Row, limit: float | None = None) -> CrossFit:
    """Learn from all folds, and from all but each one; predict every patch both ways."""
    folds = [int(fold) for fold in np.unique(training.groups)]
    learned = learn(training, row, limit)
    in_sample = mixed(training.logits, training.groups, learned)
    if not row.learns and (limit is None or not row.measured):
        return CrossFit(learned, dict.fromkeys(folds, learned), in_sample, in_sample)
    by_fold, cross_fitted = {}, np.empty_like(in_sample)
    for fold in folds:
        scored = training.groups == fold
        by_fold[fold] = learn(training.rows(~scored), row, limit)
        cross_fitted[scored] = mixed(training.logits[scored], training.groups[scored], by_fold[fold])
    return CrossFit(learned, by_fold, in_sample, cross_fitted)


def learn(training: Training, row: Row, limit: float | None) -> Mixture:
    """The mixture of a rule for the members that the gate lets through; weights that were given pass no gate."""
    if limit is None or not row.measured:
        return row.learn(training)
    kept = gate(training, limit).kept
    return row.learn(training.only(kept)).over(kept, training.members)
