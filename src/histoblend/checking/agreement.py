"""How far a submission agrees with a model's answers for the same patches, and whether another order would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from histoblend.blending.submission import FEWEST_TO_JUDGE
from histoblend.checking.form import Form, Reference
from histoblend.checking.values import NEARLY_ALL, Values

BLOCKS, FEWEST_BLOCKS = 20, 4
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
        exchanged: of names, in words, the renaming that agrees best, and its figure; None where it is none.
        blocks: the figure in consecutive blocks of the sample's order; empty of few patches, or of names.
    """

    model: str
    patches: int
    value: float
    realigned: dict[str, float]
    named: bool
    exchanged: tuple[str, float] | None = None
    blocks: tuple[float, ...] = ()

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
        _exchanged(ours.to_numpy(), theirs.to_numpy()) if named else None,
        () if named else _blocks(ours, theirs, form),
    )


def _exchanged(ours: np.ndarray, theirs: np.ndarray) -> tuple[str, float] | None:
    """The renaming of our classes that agrees with the model most often, and Cohen's kappa after it."""
    names = sorted({*ours, *theirs})
    matrix = confusion_matrix(ours, theirs, labels=names)
    renamed = {names[ours_at]: names[at] for ours_at, at in zip(*linear_sum_assignment(-matrix), strict=True)}
    changed = [f"{old} is called {new}" for new, old in renamed.items() if new != old and new in set(ours)]
    if not changed:
        return None
    return ", ".join(changed), _kappa(np.array([renamed[name] for name in ours]), theirs)


def _blocks(ours: pd.Series, theirs: pd.Series, form: Form) -> tuple[float, ...]:
    """Rank correlation in up to 20 consecutive blocks of the sample's order, each of enough patches to judge."""
    count = min(BLOCKS, len(ours) // FEWEST_TO_JUDGE)
    if form.ids is None or count < FEWEST_BLOCKS:
        return ()
    there = set(ours.index)
    order = [name for name in form.ids if name in there]
    pairs = zip(
        np.array_split(ours.loc[order].to_numpy(), count),
        np.array_split(theirs.loc[order].to_numpy(), count),
        strict=True,
    )
    return tuple(_spearman(one, other) for one, other in pairs if np.ptp(one) > 0 and np.ptp(other) > 0)


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
