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
    for heading in ("rule", "cross-fitted", "in sample", "optimism", "gain [95 %]"):
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
    low, high = row["gain_low"], row["gain_high"]
    interval = "?" if low is None or high is None else f"{low:+.4f}, {high:+.4f}"
    return f"{row['gain']:+.4f} [{interval}]"


def _caption(audit: dict[str, Any]) -> str:
    """What the columns mean, and on how many clusters the intervals rest."""
    clusters = "" if audit["clusters"] is None else f", {audit['clusters']} {audit['clusters_are']}"
    learning = "a gate is learned, so all rules learn" if audit["gated"] else "only of rules that learn"
    return (
        "cross-fitted: each fold by weights learned on the others\n"
        f"optimism: in sample less cross-fitted; {learning}\n"
        f"gain: over logit_mean, with its 95 % interval{clusters}"
    )
