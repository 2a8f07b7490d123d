"""What each rule is worth: weights learned on all folds but one, scored on that one.

A rule that learns flatters itself on the rows it learned from. Its cross-fitted score does so far less: the search for
the weights that score fold k sees no label of fold k. The members it weighs were trained on them, as in any stacking:
those that score the other folds have learned from fold k. The difference of the two scores is the rule's optimism.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from histoblend.blending.diversity import Gate, Gates
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
    """What the audit found about a rule; `difference` is its cross-fitted AUC less that of the reference.

    `clusters_are`, as in `Ground`, says between what the standard error of the difference was found.
    """

    rule: str
    row: Row
    fit: CrossFit
    auc_in_sample: float
    auc_cross_fitted: float
    difference: Difference
    clusters_are: str

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
    gates: Gates | None = None,
    count: Count = lambda done, of: None,
) -> list[Verdict]:
    """Judge each of `rules`, the reference among them, by what it is worth on folds it has not learned from.

    Args:
        training: out-of-fold logits of all patches; its groups are the folds of `ground`.
        gates: of `blend.gate`; each is closed by the folds that are learned from alone. None for an open one.
    """
    fits: dict[str, CrossFit] = {}
    for number, (name, row) in enumerate(rules.items()):
        fits[name] = cross_fit(training, row, gates)
        count(number + 1, len(rules))
    objective = training.objective()
    columns = np.stack([fit.cross_fitted for fit in fits.values()], axis=1)
    found = differences(ground, columns, list(fits).index(REFERENCE))
    areas = {name: (objective(fit.in_sample), objective(fit.cross_fitted)) for name, fit in fits.items()}
    return [
        Verdict(name, rules[name], fit, *areas[name], difference, ground.clusters_are)
        for (name, fit), difference in zip(fits.items(), found, strict=True)
    ]


def cross_fit(training: Training, row: Row, gates: Gates | None = None) -> CrossFit:
    """Learn from all folds, and from all but each one; predict every patch both ways."""
    folds = [int(fold) for fold in np.unique(training.groups)]
    gates = gates if row.gated else None
    learned = learn(training, row, None if gates is None else gates.whole)
    in_sample = mixed(training.logits, training.groups, learned)
    if not row.learns and gates is None:
        return CrossFit(learned, dict.fromkeys(folds, learned), in_sample, in_sample)
    by_fold, cross_fitted = {}, np.empty_like(in_sample)
    for fold in folds:
        scored = training.groups == fold
        gate = None if gates is None else gates.without[fold]
        by_fold[fold] = learn(training.rows(~scored), row, gate)
        cross_fitted[scored] = mixed(training.logits[scored], training.groups[scored], by_fold[fold])
    return CrossFit(learned, by_fold, in_sample, cross_fitted)


def learn(training: Training, row: Row, gate: Gate | None) -> Mixture:
    """The mixture of a rule for the members that the gate lets through."""
    if gate is None:
        return row.learn(training)
    return row.learn(training.only(gate.kept)).over(gate.kept, training.members)
