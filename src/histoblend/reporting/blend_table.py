"""The audit of a blend's rules for a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from histoblend.errors import counted


def printed_audit(audit: dict[str, Any]) -> Table:
    """One row a rule, the best cross-fitted first, the chosen one bold; `audit` as in ``<plan>_audit.json``."""
    table = Table(
        title=f"Blend rules, {counted(len(audit['members']), 'member')}",
        title_justify="left",
        caption=_caption(audit),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("rule", "cross-fitted", "in sample", "optimism", "gain ± se"):
        table.add_column(heading, justify="left" if heading == "rule" else "right", no_wrap=True)
    for row in sorted(audit["rules"], key=lambda row: -row["auc_cross_fitted"]):
        chosen = row["rule"] == audit["chosen"]
        table.add_row(*_cells(row, chosen), style="bold" if chosen else None)
    return table


def _cells(row: dict[str, Any], chosen: bool) -> list[str]:
    return [
        f"{'> ' if chosen else '  '}{row['rule']}",
        f"{row['auc_cross_fitted']:.4f}",
        f"{row['auc_in_sample']:.4f}" if row["learns"] else "",
        f"{row['optimism']:+.4f}" if row["learns"] else "",
        _gain(row),
    ]


def _gain(row: dict[str, Any]) -> str:
    if row["rule"] == "logit_mean":
        return "the reference"
    gain, error = row["gain"], row["gain_standard_error"]
    return f"{gain:+.4f} ± {'?' if error is None else f'{error:.4f}'}"


def _caption(audit: dict[str, Any]) -> str:
    """What the columns mean, and on how many clusters the standard errors rest."""
    clusters = "" if audit["clusters"] is None else f", {audit['clusters']} {audit['clusters_are']}"
    return (
        "cross-fitted: each fold by weights learned on the others\n"
        "optimism: in sample less cross-fitted; only of rules that learn\n"
        f"gain: over logit_mean, ± its standard error{clusters}"
    )
