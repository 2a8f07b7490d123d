"""The local leaderboard: every experiment and blend by cross-validated AUC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.table import Table

from histoblend.execution.collect import Metrics

COLUMNS = [
    "rank", "name", "kind", "status", "auc_pooled", "auc_fold_mean", "auc_fold_std", "tta_gain", "folds",
    "slides_policy", "inner_split", "minutes", "images_per_second", "data_set", "synthetic", "local_leaderboard",
    "public_score", "private_score", "config_fingerprint", "data_fingerprint", "folds_fingerprint",
]  # fmt: skip


def ranking_table(metrics: Sequence[Metrics]) -> pd.DataFrame:
    """One row an experiment or blend: the complete ones by pooled AUC, then the partial ones by theirs.

    `public_score` and `private_score` are empty until a leaderboard has answered.
    """
    ordered = sorted(metrics, key=lambda one: (not one.complete, -one.auc_pooled))
    rows = [_row(one) for one in ordered]
    for number, row in enumerate(row for row in rows if row["status"] == "complete"):
        row["rank"] = number + 1
    return pd.DataFrame(rows, columns=COLUMNS).astype({"rank": "Int64"})


def _row(one: Metrics) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "status": "complete" if one.complete else "partial",
        "auc_pooled": one.auc_pooled,
        "auc_fold_mean": one.auc_fold_mean,
        "auc_fold_std": one.auc_fold_std,
        "tta_gain": one.tta_gain,
        "folds": " ".join(map(str, one.folds)),
        "minutes": one.minutes,
        "images_per_second": one.images_per_second,
        "local_leaderboard": one.local_leaderboard,
        **one.about,
    }


def printed_ranking(table: pd.DataFrame) -> Table:
    """The ranking for a terminal; a synthetic data set stands in its title."""
    synthetic = bool(table["synthetic"].any())
    data_set = table["data_set"].iloc[0]
    policy = table["slides_policy"].iloc[0]
    title = f"Ranking on {data_set}, folds by {policy}"
    printed = Table(title=f"{title} (SYNTHETIC patches)" if synthetic else title, title_justify="left")
    headings = ["#", "name", "kind", "AUC pooled", "fold mean ± std", "TTA gain", "folds", "minutes", "images/s"]
    headings += ["local LB"] if synthetic else []
    for heading in headings:
        printed.add_column(heading, justify="left" if heading in ("name", "kind", "folds") else "right")
    for row in table.to_dict("records"):
        printed.add_row(*_cells(row, synthetic), style="bold" if row["kind"] == "blend" else None)
    return printed


def _cells(row: dict[str, Any], synthetic: bool) -> list[str]:
    partial = row["status"] == "partial"
    cells = [
        "partial" if partial else str(row["rank"]),
        row["name"],
        row["kind"],
        f"{row['auc_pooled']:.4f}",
        f"{row['auc_fold_mean']:.4f} ± {row['auc_fold_std']:.4f}",
        _number(row["tta_gain"], "+.4f"),
        row["folds"],
        _number(row["minutes"], ".1f") if row["minutes"] else "",
        _number(row["images_per_second"], ".0f"),
    ]
    return [*cells, _number(row["local_leaderboard"], ".4f")] if synthetic else cells


def _number(value: float | None, form: str) -> str:
    return "" if value is None or pd.isna(value) else format(value, form)
