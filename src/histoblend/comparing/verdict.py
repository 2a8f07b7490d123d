"""Paired tests of each side against the first, and what they say in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histoblend.blending.diversity import spearman
from histoblend.comparing.common import Common
from histoblend.evaluation.auc import fold_aucs
from histoblend.evaluation.delong import paired_test
from histoblend.evaluation.fold_test import FoldTest, fold_difference_test
from histoblend.evaluation.uncertainty import Difference, Estimate, differences, estimates


@dataclass(frozen=True)
class Against:
    """A side against the first.

    Attributes:
        difference: AUC of the side minus that of the first, paired.
        naive_p: DeLong's, as if patches were independent; None where it is the leading test, or more classes.
        folds: Nadeau and Bengio's test over folds; None on different splits or one fold only.
        correlation: Spearman's, as in the audit of a blend: of ranks within fold; of more than two classes over the
            log-odds of each class against the rest.
    """

    name: str
    difference: Difference
    naive_p: float | None
    folds: FoldTest | None
    correlation: float


@dataclass(frozen=True)
class Comparison:
    """Everything that is told of the sides; `against` holds all but the first.

    Attributes:
        accuracies: shares of patches whose most probable class is theirs; of more than two classes only.
    """

    common: Common
    estimates: tuple[Estimate, ...]
    against: tuple[Against, ...]
    aucs_by_fold: dict[int, list[float]]
    accuracies: tuple[float, ...] = ()


def compared(common: Common) -> Comparison:
    """All tests; by fold only where all sides were made on one split and a fold holds every class."""
    ground, logits = common.judged()
    found = differences(ground, logits, 0)
    ranks, alike = common.ranks, spearman(logits, ground.folds)
    against = tuple(
        Against(
            common.names[place],
            found[place],
            _naive(common, ranks, place),
            _over_folds(common, place),
            float(alike[0, place]),
        )
        for place in range(1, len(common.names))
    )
    return Comparison(
        common, tuple(estimates(ground, logits)), against, _by_fold(common), _accuracies(common)
    )


def _accuracies(common: Common) -> tuple[float, ...]:
    if common.logits.shape[2] == 1:
        return ()
    right = common.logits.argmax(axis=2) == common.rows["label"].to_numpy()[:, None]
    return tuple(float(share) for share in right.mean(axis=0))


def _naive(common: Common, ranks: np.ndarray, place: int) -> float | None:
    if common.ground.slides is None or common.logits.shape[2] > 1:
        return None
    return paired_test(common.ground.labels, ranks[:, place], ranks[:, 0]).p_value


def _over_folds(common: Common, place: int) -> FoldTest | None:
    if not common.same_folds or len(np.unique(common.ground.folds)) < 2:
        return None
    labels, folds = common.ground.labels, common.ground.folds
    return fold_difference_test(labels, folds, common.logits[:, place], common.logits[:, 0], common.patches)


def _by_fold(common: Common) -> dict[int, list[float]]:
    """AUC of every side on each fold."""
    if not common.same_folds:
        return {}
    labels, folds = common.ground.labels, common.ground.folds
    sides = [fold_aucs(labels, common.logits[:, place], folds) for place in range(len(common.names))]
    return {fold: [side[fold] for side in sides] for fold in sides[0]}


def verdict(comparison: Comparison, place: int) -> str:
    """One side against the first in a sentence or two: ahead by how much, over what, told apart or not."""
    one, first = comparison.against[place], comparison.common.names[0]
    gain, interval = one.difference.gain, one.difference.interval
    ahead, behind = (one.name, first) if gain >= 0 else (first, one.name)
    if gain == 0 and interval.standard_error == 0:
        return f"{one.name} and {first} rank every patch alike."
    lead = f"{ahead} is ahead of {behind} by {short(abs(gain))}"
    if np.isnan(interval.low):
        return f"{lead}; whether that is more than chance cannot be told. {interval.warning or ''}".strip()
    low, high = (interval.low, interval.high) if gain >= 0 else (-interval.high, -interval.low)
    over = (
        f"{interval.clusters} {comparison.common.ground.clusters_are}"
        if interval.clusters
        else "patches taken as independent"
    )
    apart = "told apart" if low > 0 else "not told apart"
    p_value = p_words(one.difference.p_value)
    return f"{lead} (95 % interval {short(low)} to {short(high)}, p {p_value}, {over}): {apart}."


def beside(one: Against) -> str:
    """The other tests in a sentence, and why they do not lead; empty where there is none."""
    said = []
    if one.naive_p is not None:
        said.append(f"DeLong p {p_words(one.naive_p)} (takes patches as independent, so too sure)")
    if one.folds is not None:
        folds = one.folds.freedom + 1
        said.append(
            f"over {folds} folds {short(one.folds.mean, signed=True)}, p {p_words(one.folds.p_value)} (Nadeau-Bengio)"
        )
    return f"{one.name}: {'; '.join(said)}." if said else ""


def p_words(p_value: float) -> str:
    """``.374``; ``<.001`` also where it is so small that the machine has rounded it to 0."""
    return "<.001" if p_value < 0.0005 else short(p_value, 3)


def short(value: float, digits: int = 4, signed: bool = False) -> str:
    """``.0040``, ``-.0020``: no zero before the point; ``<.001`` where nothing would be left of it; ``-`` for NaN."""
    if np.isnan(value):
        return "-"
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        return f"{'-' if value < 0 else ''}<.{'0' * (digits - 1)}1"
    text = f"{abs(value):.{digits}f}"
    sign = "-" if value < 0 else "+" if signed else ""
    return sign + (text.removeprefix("0") if text.startswith("0.") else text)
