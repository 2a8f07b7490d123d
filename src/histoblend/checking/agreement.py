"""How far a submission agrees with a model's answers for the same patches, and whether another order would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from histoblend.blending.submission import FEWEST_TO_JUDGE
from histoblend.checking.form import Form, Reference
from histoblend.checking.values import NEARLY_ALL, Values

Measure = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Agreement:
    """Submission and model compared by id.

    Attributes:
        model: blend or experiment.
        patches: how many both know.
        value: Spearman's rank correlation of numbers; of names of classes Cohen's kappa.
        realigned: by order the same figure had the values stood in that order of the ids, in words.
        named: whether names are compared.
    """

    model: str
    patches: int
    value: float
    realigned: dict[str, float]
    named: bool

    @property
    def noise(self) -> float:
        """What chance alone reaches: two standard errors, at least .1."""
        return max(0.1, 2 / np.sqrt(self.patches))


def compared(values: Values, reference: Reference, form: Form) -> Agreement | None:
    """Submission against model; None where they share too few patches to judge, or one is (nearly) constant."""
    named = bool(values.classes)
    ours = pd.Series(values.names if named else values.numbers, index=values.ids)
    ours = ours[~ours.index.duplicated() & ours.notna().to_numpy() & ours.index.isin(reference.answers.index)]
    theirs = reference.answers.loc[ours.index]
    if len(ours) < FEWEST_TO_JUDGE or max(_most_common(ours), _most_common(theirs)) >= NEARLY_ALL:
        return None
    measure = _kappa if named else _spearman
    return Agreement(
        reference.name,
        len(ours),
        measure(ours.to_numpy(), theirs.to_numpy()),
        {order: measure(ours.to_numpy(), theirs.loc[ids].to_numpy()) for order, ids in _orders(ours, form)},
        named,
    )


def _most_common(answers: pd.Series) -> float:
    return float(answers.value_counts(normalize=True).iloc[0])


def _orders(ours: pd.Series, form: Form) -> list[tuple[str, list[str]]]:
    """Orders in which values are often written: the sample's, the sorted ids', the file's own turned around."""
    there = set(ours.index)
    orders = [("sorted ids", sorted(there)), ("the file, last line first", list(ours.index[::-1]))]
    if form.ids is not None:
        orders.insert(0, ("the sample submission", [name for name in form.ids if name in there]))
    return [(order, ids) for order, ids in orders if ids != list(ours.index)]


def _spearman(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(spearmanr(ours, theirs).statistic)


def _kappa(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(cohen_kappa_score(ours, theirs))
