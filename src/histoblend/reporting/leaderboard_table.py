"""The leaderboard for the terminal: cross-validation, optimism of blends, public and private scores."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from histoblend.reporting.fit_width import widest_that_fits
from histoblend.reporting.ranking import WIDE, about_intervals, number, with_interval

MEAN = "folds: mean ± std"
LEFT_OUT: tuple[tuple[str, ...], ...] = (
    (),
    ("kind",),
    ("kind", "optimism"),
    ("kind", MEAN),
    ("kind", MEAN, "gap"),
    ("kind", MEAN, "gap", "optimism"),
)


def printed_leaderboard(table: pd.DataFrame, width: int = WIDE, chosen: str | None = None) -> Table:
    """The ranking for a terminal of `width` columns, best cross-validated AUC first: columns of ranking.csv and
    `auc_sent`, the AUC of the file that the scores are of.

    Columns that nothing is known for are left out, and where it is narrow kind, means of folds, gaps, optimism and
    intervals. The row of `chosen` is marked.
    """
    marked = table.assign(name=[f"> {name}" if name == chosen else f"  {name}" for name in table["name"]])
    named = table if chosen is None else marked
    choices = [_columns(named, interval=True), _columns(named, interval=False)]
    drafts = [_drawn(table, columns, left_out) for columns in choices for left_out in LEFT_OUT]
    printed = widest_that_fits(drafts, width)
    printed.min_width = min(width, len(str(printed.title)))
    return printed


def _drawn(table: pd.DataFrame, columns: dict[str, list[str]], left_out: tuple[str, ...]) -> Table:
    shown = {heading: cells for heading, cells in columns.items() if heading.strip() not in left_out}
    synthetic = " (SYNTHETIC patches)" if table["synthetic"].eq(True).any() else ""
    printed = Table(
        title=f"Leaderboard of {table['data_set'].iloc[0]}, folds by {table['slides_policy'].iloc[0]}{synthetic}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption=_caption(table, shown),
        caption_justify="left",
    )
    for heading in shown:
        left = heading in ("name", "kind")
        printed.add_column(
            heading, justify="left" if left else "right", no_wrap=heading != "name", overflow="fold"
        )
    for kind, *cells in zip(table["kind"], *shown.values(), strict=True):
        printed.add_row(*cells, style="bold" if kind == "blend" else None)
    return printed


def _columns(table: pd.DataFrame, interval: bool) -> dict[str, list[str]]:
    """Cells by heading, of what is known."""
    rows: list[dict[str, Any]] = table.to_dict("records")
    columns = {
        "#": [_place(row) for row in rows],
        "name": [row["name"] for row in rows],
        "kind": [row["kind"] for row in rows],
        "CV AUC": [with_interval(row) if interval else number(row["auc_pooled"], ".4f") for row in rows],
        "accuracy": [number(row["accuracy"], ".4f") for row in rows],
        MEAN: [_fold_mean(row) for row in rows],
        "optimism": [_less(row, "auc_in_sample") for row in rows],
        "test*": [number(row["local_leaderboard"], ".4f") for row in rows],
        "public": [number(row["public_score"], ".4f") for row in rows],
        "gap": [_less(row, "public_score") for row in rows],
        "private": [number(row["private_score"], ".4f") for row in rows],
        "gap ": [_less(row, "private_score") for row in rows],
    }
    return {heading: cells for heading, cells in columns.items() if any(cells)}


def _place(row: dict[str, Any]) -> str:
    """The rank, or why there is none."""
    if row.get("unlike"):
        return str(row["unlike"])
    return str(row["rank"]) if row["status"] == "complete" else str(row["status"])


def _fold_mean(row: dict[str, Any]) -> str:
    """Mean of the folds' own AUCs; their standard deviation where there are several."""
    several = " " in row["folds"]
    return number(row["auc_fold_mean"], ".4f") + (f" ± {row['auc_fold_std']:.4f}" if several else "")


def _less(row: dict[str, Any], column: str) -> str:
    """By how much another score exceeds the cross-validated one."""
    if row[column] is None or pd.isna(row[column]):
        return ""
    own = row["auc_pooled"] if column == "auc_in_sample" else row["auc_sent"]
    return number(row[column] - own, "+.4f")


def _caption(table: pd.DataFrame, shown: dict[str, list[str]]) -> str:
    """What the words and numbers mean, those that stand there."""
    words = {
        "optimism": "optimism: AUC on the patches the weights were learnt on, minus the cross-fitted one",
        "gap": "gap: leaderboard minus CV",
        "test*": "test*: AUC on test patches of known label",
    }
    lines = [about_intervals(table) if "[" in "".join(shown["CV AUC"]) else ""]
    lines += [meaning for heading, meaning in words.items() if heading in shown]
    lines += ["partial: not all folds"] if (table["status"] == "partial").any() else []
    return "\n".join(line for line in lines if line)
