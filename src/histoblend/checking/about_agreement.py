"""Diagnoses of a submission against a model: turned around, values beside the wrong ids, little agreement."""

from __future__ import annotations

import numpy as np

from histoblend.checking.agreement import Agreement
from histoblend.checking.findings import Diagnosis

LITTLE = 0.5
"""Rank correlation under which two honest models of this problem hardly ever lie."""


def _said(agreement: Agreement, value: float) -> str:
    return f"{'Kappa' if agreement.named else 'Rank correlation'} {value:+.2f} with {agreement.model}"


def vouched(agreement: Agreement | None) -> str:
    """The figure that says that values and ids belong together; empty where it does not."""
    if agreement is None or agreement.value <= LITTLE or _better_order(agreement):
        return ""
    said = _said(agreement, agreement.value)
    return said[0].lower() + said[1:]


def _inverted(agreement: Agreement) -> str | None:
    order = _better_order(agreement)
    value = agreement.realigned[order] if order else agreement.value
    if agreement.named or value >= -LITTLE:
        return None
    where = f" in the order of {order}" if order else ""
    return f"{_said(agreement, value)}{where}: its highest patches are the lowest here."


def _below_chance(agreement: Agreement) -> str | None:
    if agreement.named or not -LITTLE <= agreement.value < -agreement.noise or _better_order(agreement):
        return None
    return f"{_said(agreement, agreement.value)}: below chance, broken or turned around in part."


def _exchanged(agreement: Agreement) -> str | None:
    if agreement.exchanged is None or agreement.value > LITTLE:
        return None
    renaming, value = agreement.exchanged
    if value <= max(LITTLE, agreement.value + agreement.noise):
        return None
    return f"{_said(agreement, agreement.value)}, but {value:+.2f} if {renaming} here."


def _part(agreement: Agreement) -> str | None:
    """A block of the sample's order far below the usual one: by .3, and by 5 standard errors."""
    if not agreement.blocks:
        return None
    usual, lowest = float(np.median(agreement.blocks)), min(agreement.blocks)
    error = (1 - usual**2) / np.sqrt(agreement.patches / len(agreement.blocks))
    bound = usual - max(0.3, 5 * error)
    low = [str(place + 1) for place, value in enumerate(agreement.blocks) if value < bound]
    if not low:
        return None
    where = f"block {', '.join(low)} of {len(agreement.blocks)} of the sample's order"
    said = f"{_said(agreement, lowest)} in {where} (the lowest of them)" if len(low) > 1 else ""
    said = said or f"{_said(agreement, lowest)} in {where}"
    return f"{said}, where {usual:+.2f} is usual: a part is turned around or out of order."


def _reordered(agreement: Agreement) -> str | None:
    order = _better_order(agreement)
    if order is None:
        return None
    return (
        f"{_said(agreement, agreement.value)} by id, but {agreement.realigned[order]:+.2f} when the "
        f"values are read in the order of {order}: ids were reordered without their values."
    )


def _better_order(agreement: Agreement) -> str | None:
    """The order of ids in which the values agree, where as they stand they do not."""
    if not agreement.realigned or agreement.value > LITTLE:
        return None
    sizes = {order: value if agreement.named else abs(value) for order, value in agreement.realigned.items()}
    best = max(sizes, key=lambda order: sizes[order])
    return best if sizes[best] > max(LITTLE, abs(agreement.value) + agreement.noise) else None


def _hardly(agreement: Agreement) -> float:
    """Up to here nothing in common is seen; three standard errors under what honest models have."""
    return min(agreement.noise, LITTLE - 3 / float(np.sqrt(agreement.patches)))


def _unrelated(agreement: Agreement) -> str | None:
    lowest = -1.0 if agreement.named else -agreement.noise
    if (
        not lowest <= agreement.value <= _hardly(agreement)
        or _better_order(agreement)
        or _exchanged(agreement)
    ):
        return None
    return f"{_said(agreement, agreement.value)}: the values seem to belong to other ids."


def _little(agreement: Agreement) -> str | None:
    found_before = _better_order(agreement) or _exchanged(agreement)
    if not _hardly(agreement) < agreement.value < LITTLE or found_before:
        return None
    return f"{_said(agreement, agreement.value)}, over {agreement.patches:,} patches."


DIAGNOSES: tuple[Diagnosis[Agreement], ...] = (
    Diagnosis(
        "turned around",
        "wrong",
        _inverted,
        "Submit 1 - value: it would score about 1 - AUC. Look which class is output 0.",
    ),
    Diagnosis(
        "below chance",
        "wrong",
        _below_chance,
        "Look whether some folds or batches were turned around before they were averaged.",
    ),
    Diagnosis("classes exchanged", "wrong", _exchanged, "Look in which order the outputs have the classes."),
    Diagnosis(
        "ids reordered",
        "wrong",
        _reordered,
        "Write ids and values from one table; never sort or merge one of them alone.",
    ),
    Diagnosis(
        "values unrelated",
        "wrong",
        _unrelated,
        "Look for a shuffled generator (shuffle=False), or ids joined by position.",
    ),
    Diagnosis(
        "little agreement",
        "warning",
        _little,
        "Weak models may differ so much; else look for a part of the ids out of order.",
    ),
    Diagnosis("part unlike", "warning", _part, "Look how this part was predicted and put in its place."),
)
