"""Blend rules: one function and one row each.

A rule looks at the out-of-fold logits and labels of its training rows and returns a `Mixture`. Rules that learn search
for the highest AUC pooled on ranks within fold, or fit a logistic regression to normal scores within fold; members of
different folds are never compared by their raw logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from histoblend.blending.mixture import Mixture
from histoblend.blending.searches import best_weights, climbed_weights, greedy_weights
from histoblend.blending.stacking import stacked
from histoblend.blending.training import Training
from histoblend.errors import ConfigRefusal, nearest, some

REFERENCE = "logit_mean"
"""The rule all others are measured against: equal weights, nothing learned."""

Rule = Callable[[Training], Mixture]


@dataclass(frozen=True)
class Row:
    """A rule of the table.

    Attributes:
        learn: the rule; deterministic.
        learns: whether its weights come from labels, so that its score on the same rows flatters.
        two_classes_only: it has no meaning for more: ranks within a class forget how common it is, so argmax would err.
        measured: whether auto may take it; not of weights or a power that were chosen nobody knows how.
        gated: whether `blend.gate` has a say in it; not over weights that were given.
    """

    learn: Rule
    learns: bool = False
    two_classes_only: bool = False
    measured: bool = True
    gated: bool = True


def equal(training: Training) -> np.ndarray:
    """The same weight for each member."""
    return np.full(training.members, 1 / training.members)


def logit_mean(training: Training) -> Mixture:
    """The equal-weight mean of the members' logits."""
    return Mixture(equal(training))


def probability_mean(training: Training) -> Mixture:
    """The equal-weight mean of the members' probabilities."""
    return Mixture(equal(training), "probability")


def power_mean(training: Training) -> Mixture:
    """The mean of probabilities to the power `blend.power`, taken for each class alike and brought to a sum of one.

    A power of 1 is the mean of probabilities; towards 0 it becomes the mean of logits; above 1 the sure members count
    more.
    """
    return Mixture(equal(training), "probability", power=training.power)


def rank_mean(training: Training) -> Mixture:
    """The equal-weight mean of the members' mid-ranks within each fold, as a logit."""
    return Mixture(equal(training), "rank")


def weighted(training: Training) -> Mixture:
    """The mean of logits with the weights of `blend.weights`; a member it does not name weighs nothing."""
    return Mixture(given_weights(training))


def best_single(training: Training) -> Mixture:
    """The member with the highest AUC alone: what a blend has to beat."""
    return Mixture(best_weights(training))


def greedy(training: Training) -> Mixture:
    """Greedy selection of members with replacement (Caruana et al. 2004), bagged; mean of logits."""
    return Mixture(greedy_weights(training))


def hill_climbing(training: Training) -> Mixture:
    """Weights raised one member at a time, from the best member on, while the AUC rises; mean of logits."""
    return Mixture(climbed_weights(training))


def stacking_nonnegative(training: Training) -> Mixture:
    """Logistic regression on normal scores within fold, no weight below zero."""
    return stacked(training, penalty=1e-4, lowest=0.0)


def stacking_l2(training: Training) -> Mixture:
    """Logistic regression on normal scores within fold with an L2 penalty; weights may be negative."""
    return stacked(training, penalty=1e-2, lowest=None)


RULES: dict[str, Row] = {
    "logit_mean": Row(logit_mean),
    "probability_mean": Row(probability_mean),
    "power_mean": Row(power_mean),
    "rank_mean": Row(rank_mean, two_classes_only=True),
    "weighted": Row(weighted, measured=False, gated=False),
    "best_single": Row(best_single, learns=True),
    "greedy": Row(greedy, learns=True),
    "hill_climbing": Row(hill_climbing, learns=True),
    "stacking_nonnegative": Row(stacking_nonnegative, learns=True, two_classes_only=True),
    "stacking_l2": Row(stacking_l2, learns=True, two_classes_only=True),
}


def rules_for(classes: int) -> dict[str, Row]:
    """The rules that have a meaning for that many classes."""
    return {name: row for name, row in RULES.items() if classes == 2 or not row.two_classes_only}


def given_weights(training: Training) -> np.ndarray:
    """The weights of the plan, by member, brought to a sum of 1.

    Raises:
        ConfigRefusal: there are none, they name what is no member, or none of the members here has one.
    """
    remedy = (
        f"blend.weights: {{{', '.join(f'{name}: 1' for name in training.names)}}}, in the shares you want."
    )
    if training.given is None:
        raise ConfigRefusal("blend.rule weighted has no weights.", "blend.weights by member", remedy)
    if unknown := [name for name in training.given if name not in training.names]:
        hint = nearest(unknown[0], training.names)
        raise ConfigRefusal(
            f"blend.weights names {some(unknown)}, which is no member of this blend. {hint}",
            f"members: {', '.join(training.names)}",
            remedy,
        )
    weights = np.array([training.given.get(name, 0.0) for name in training.names])
    if weights.sum() == 0:
        raise ConfigRefusal("blend.weights gives no member any weight.", "one weight above zero", remedy)
    return np.asarray(weights / weights.sum())
