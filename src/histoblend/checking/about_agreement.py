"""Diagnoses of a submission against a model: turned around, values beside the wrong ids, little agreement."""

from __future__ import annotations

from histoblend.checking.agreement import Agreement
from histoblend.checking.findings import Diagnosis

LITTLE = 0.5
"""Rank correlation under which two honest models of this problem hardly ever lie."""


def _said(agreement: Agreement, value: float) -> str:
    return f"{'Kappa' if agreement.named else 'Rank correlation'} {value:+.2f} with {agreement.model}"


def _inverted(agreement: Agreement) -> str | None:
    if agreement.named or agreement.value >= -agreement.noise:
        return None
    return f"{_said(agreement, agreement.value)}: its highest patches are the lowest here."


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
    best = max(agreement.realigned, key=lambda order: agreement.realigned[order])
    return best if agreement.realigned[best] > max(LITTLE, agreement.value + agreement.noise) else None


def _unrelated(agreement: Agreement) -> str | None:
    if abs(agreement.value) > agreement.noise or _better_order(agreement):
        return None
    return f"{_said(agreement, agreement.value)}: the values seem to belong to other ids."


def _little(agreement: Agreement) -> str | None:
    if not agreement.noise < agreement.value < LITTLE or _better_order(agreement):
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
)
