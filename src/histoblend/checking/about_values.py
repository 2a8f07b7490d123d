"""Diagnoses of the values: numbers that rank patches, or names of classes."""

from __future__ import annotations

import numpy as np

from histoblend.blending.submission import FEWEST_TO_JUDGE
from histoblend.checking.findings import Diagnosis
from histoblend.checking.sheet import as_number
from histoblend.checking.values import NEARLY_ALL, Values
from histoblend.competition.leaked_labels import HARD_SHARE
from histoblend.errors import counted, some

SATURATED = 0.01
"""Share of patches at the highest, or at the lowest, value from which ties cost something that can be seen."""
NARROW = 0.01
"""Span of the values under which they look constant to the eye; order is still all that AUC sees."""


def _no_number(values: Values) -> str | None:
    broken = np.flatnonzero(np.isnan(values.numbers))
    if not len(broken):
        return None
    cells = list(dict.fromkeys(_broken_cells(values)))
    which = "is no finite number" if len(broken) == 1 else "are no finite numbers"
    such = f", such as {', '.join(cells[:3])}" if len(cells) > 1 else f": {cells[0]}"
    where = ", ".join(values.ids[row] for row in broken[:2])
    first = "of" if len(broken) == 1 else "the first of"
    return f"{counted(len(broken), 'value')} {which}{such}; {first} {where}."


def _broken_cells(values: Values) -> list[str]:
    return [values.cells[row].strip() or "empty" for row in np.flatnonzero(np.isnan(values.numbers))]


def _how_numbers(values: Values) -> str:
    """What to do about cells that are no numbers, by what most of them look like."""
    cells = _broken_cells(values)
    if 2 * sum(cell.startswith("[") and cell.endswith("]") for cell in cells) > len(cells):
        return "Write the number in the brackets: predictions has the shape (n, 1); take predictions[:, 0] or .ravel()."
    if 2 * sum(cell.endswith("%") for cell in cells) > len(cells):
        return "Take the percent signs off and divide by 100."
    return "Predict these patches; look for divisions by zero and NaN."


def _hard(values: Values) -> str | None:
    if len(values.finite) < FEWEST_TO_JUDGE or _most_common(values) >= NEARLY_ALL:
        return None
    distinct, share = np.unique(values.finite), np.isin(values.finite, (0, 1)).mean()
    if len(distinct) == 2:
        return f"Two different values only ({distinct[0]:g} and {distinct[1]:g}): decisions, no ranking."
    return f"{share:.2%} are exactly 0 or 1: decisions, hardly any ranking." if share >= HARD_SHARE else None


def _constant(values: Values) -> str | None:
    if len(values.finite) < 2 or np.ptp(values.finite) > 0:
        return None
    return f"All values are {values.finite[0]:g}: an AUC of exactly .5."


def _nearly_constant(values: Values) -> str | None:
    share = _most_common(values)
    if len(values.finite) < FEWEST_TO_JUDGE or share < NEARLY_ALL or share == 1:
        return None
    return f"{share:.1%} of the values are the same number."


def _most_common(values: Values) -> float:
    counts = np.unique(values.finite, return_counts=True)[1]
    return float(counts.max(initial=0) / max(1, len(values.finite)))


def _outside(values: Values) -> str | None:
    finite = values.finite
    outside = int(((finite < 0) | (finite > 1)).sum())
    if not outside:
        return None
    return f"{counted(outside, 'value')} outside [0, 1], from {finite.min():g} to {finite.max():g}: logits?"


def _ties(values: Values) -> str | None:
    distinct = len(np.unique(values.finite))
    many = len(values.finite) >= FEWEST_TO_JUDGE
    if not many or distinct <= 2 or distinct > len(values.finite) / 2 or _most_common(values) >= NEARLY_ALL:
        return None
    if _hard(values):
        return None
    return f"{distinct:,} different values for {len(values.finite):,} patches: rounded?"


def _saturated(values: Values) -> str | None:
    finite = values.finite
    if len(finite) < FEWEST_TO_JUDGE or _ties(values) or _hard(values) or len(np.unique(finite)) <= 2:
        return None
    counts = {end: int((finite == end).sum()) for end in (finite.min(), finite.max())}
    fewest, most = max(2, SATURATED * len(finite)), NEARLY_ALL * len(finite)
    high = {end: count / len(finite) for end, count in counts.items() if fewest < count < most}
    if not high:
        return None
    said = " and ".join(f"{share:.1%} of them are exactly {end:g}" for end, share in high.items())
    return f"Values pile up at the end of their range: {said}."


def _narrow(values: Values) -> str | None:
    finite = values.finite
    if len(finite) < FEWEST_TO_JUDGE or not 0 < np.ptp(finite) < NARROW or len(np.unique(finite)) == 2:
        return None
    return f"All values lie between {finite.min():.6g} and {finite.max():.6g}."


def _foreign_class(values: Values) -> str | None:
    foreign = sorted(set(values.names) - set(values.classes))
    if not foreign:
        return None
    numbers = all(as_number(name) is not None for name in foreign)
    hint = "; numbers, where names are asked for" if numbers else ""
    return f"Values that are no class: {some([repr(name) for name in foreign], 3)}{hint}."


def _one_class(values: Values) -> str | None:
    if len(values.names) < FEWEST_TO_JUDGE or len(set(values.names)) != 1:
        return None
    return f"All patches are called {values.names[0]!r}."


TIES = "Submit probabilities or logits in full, unrounded; ties throw AUC away."

OF_NUMBERS: tuple[Diagnosis[Values], ...] = (
    Diagnosis("no number", "wrong", _no_number, _how_numbers),
    Diagnosis("hard 0/1", "wrong", _hard, "Submit the probability itself: thresholds throw AUC away."),
    Diagnosis("constant", "wrong", _constant, "Look whether the weights were loaded and the pictures read."),
    Diagnosis(
        "near-constant",
        "wrong",
        _nearly_constant,
        "Look whether the weights were loaded, pictures scaled as in training, batch statistics sound.",
    ),
    Diagnosis(
        "outside [0, 1]",
        "warning",
        _outside,
        "AUC reads only the order, and a sigmoid does not change it; ranks or probabilities keep the sample's form.",
    ),
    Diagnosis("few values", "warning", _ties, TIES),
    Diagnosis("saturated", "warning", _saturated, "Rank on logits: a float32 sigmoid rounds to 0 and 1."),
    Diagnosis(
        "narrow range",
        "warning",
        _narrow,
        "AUC reads only the order. But untrained heads look so: hold it against a model (--against).",
    ),
)

OF_NAMES: tuple[Diagnosis[Values], ...] = (
    Diagnosis("foreign class", "wrong", _foreign_class, "Write the classes' names as they are given."),
    Diagnosis(
        "one class", "wrong", _one_class, "Look whether the weights were loaded and the pictures read."
    ),
)
