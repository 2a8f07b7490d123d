"""What the nested audit says of the rules, and what auto takes, against what they are worth over all slides."""

from __future__ import annotations

from typing import Any

import numpy as np

from histoblend.blending.decision import AUTO, decide
from histoblend.blending.mixture import Mixture, mixed_pointwise, normal_scores, ranks_in_groups
from histoblend.blending.nested_audit import nested_audit
from histoblend.blending.rules import REFERENCE, rules_for
from histoblend.blending.training import Training
from histoblend.evaluation.auc import FoldSplit, LabelSplit
from simulation.slides import FOLDINGS, World, draw_out_of_fold, draw_patches

Row = dict[str, Any]
LARGE = 2000  # slides, of the sample on which what is not exact is compared with what is


class Worth:
    """AUC over all slides of any mixture: exact for means of logits.

    For the other spaces the difference to the mean of logits of nearly the same weights is taken on one large sample,
    which cancels most of its noise, and added to the exact value of that one.
    """

    def __init__(self, world: World, generator: np.random.Generator) -> None:
        large = draw_patches(world, LARGE, generator)
        everyone = np.zeros(len(large.labels), np.int64)
        self.world, self.logits, self.split = world, large.logits, LabelSplit(large.labels)
        flat = large.logits[..., 0]
        self.spreads = flat.std(axis=0)
        self.spaces = {"rank": ranks_in_groups(flat, everyone), "normal": normal_scores(flat, everyone)}

    def auc(self, mixture: Mixture) -> float:
        """The AUC over all slides of `mixture`."""
        weights = mixture.weights
        if mixture.space == "logit":
            return self.world.population_auc(weights)
        if mixture.space == "probability":
            beside, scores = weights, mixed_pointwise(self.logits, mixture)[:, 0]
        else:
            beside, scores = weights / self.spreads, self.spaces[mixture.space] @ weights
        near = self.split.auc(self.logits[..., 0] @ beside)
        return self.world.population_auc(beside) + self.split.auc(scores) - near


def one_draw(
    world: World, worth: Worth, generator: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """(in-sample, cross-fitted, over all slides) of each rule, and of auto's choice under the name of the rule."""
    ground, logits = draw_out_of_fold(world, generator)
    names = tuple(f"m{number}" for number in range(world.members))
    rules = {name: row for name, row in rules_for(2).items() if row.measured}
    verdicts = nested_audit(Training(names, logits, ground.labels, ground.folds), ground, rules)
    found = {
        one.rule: (one.auc_in_sample, one.auc_cross_fitted, worth.auc(one.fit.learned)) for one in verdicts
    }
    return found | {AUTO: found[decide(verdicts, AUTO).rule]}


def audit_rows(world: World, draws: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Optimism of each rule, found and true, and what auto gains over the equal mean."""
    generator = np.random.default_rng([seed, world.slides, world.members, 1, FOLDINGS.index(world.folding)])
    worth = Worth(world, generator)
    found = [one_draw(world, worth, generator) for _ in range(draws)]
    rules = [name for name in found[0] if name != AUTO]
    table = {name: np.array([one[name] for one in found]) for name in found[0]}
    return [_optimism(world, rule, table) for rule in rules], [_auto(world, table)]


def _optimism(world: World, rule: str, table: dict[str, np.ndarray]) -> Row:
    """Optimism is measured against the equal mean's, which learns nothing: the luck of the slides cancels."""
    in_sample, cross_fitted, truth = (table[rule] - table[REFERENCE]).T
    row: Row = {"world": world.name, "slides": world.slides, "members": world.members, "rule": rule}
    for key, values in (
        ("found", in_sample - cross_fitted),
        ("true", in_sample - truth),
        ("remaining", cross_fitted - truth),
        ("worth", truth),
    ):
        row[key], row[f"{key}_error"] = _mean(values)
    return row


def _auto(world: World, table: dict[str, np.ndarray]) -> Row:
    gains = (table[AUTO] - table[REFERENCE])[:, 2]
    mean, error = _mean(gains)
    left = np.any(table[AUTO] != table[REFERENCE], axis=1)
    worths = {name: values[:, 2].mean() for name, values in table.items() if name != AUTO}
    best = max(worths, key=lambda name: worths[name])
    return {
        "world": world.name,
        "slides": world.slides,
        "members": world.members,
        "equal_mean": float(table[REFERENCE][0, 2]),
        "gain": mean,
        "standard_error": error,
        "worst": float(gains.min()),
        "left": float(left.mean()),
        "best_rule": best,
        "best_gain": float(worths[best] - worths[REFERENCE]),
    }


def curse_rows(world: World, draws: int, seed: int) -> list[Row]:
    """By how much the best of many in cross-validation is worse over all slides than it looked."""
    generator = np.random.default_rng([seed, world.slides, world.members, 2])
    found = np.array([_winner(world, generator) for _ in range(draws)])
    (excess, error), (everyone, everyone_error), (lost, _) = (_mean(column) for column in found.T)
    return [
        {
            "world": world.name,
            "slides": world.slides,
            "members": world.members,
            "excess": excess,
            "standard_error": error,
            "of_all": everyone,
            "of_all_error": everyone_error,
            "below_best": lost,
        }
    ]


def _winner(world: World, generator: np.random.Generator) -> tuple[float, float, float]:
    """How the best in CV is overrated beyond all members, how all are on average, how far it is below the truly best.

    Overrated: AUC in cross-validation less that over all slides.
    """
    ground, logits = draw_out_of_fold(world, generator)
    split, truth = FoldSplit(ground.labels, ground.folds), world.member_aucs
    values = np.array([split.pooled_auc(logits[:, member]) for member in range(world.members)])
    best, over = int(values.argmax()), values - truth
    return over[best] - over.mean(), over.mean(), truth.max() - truth[best]


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
