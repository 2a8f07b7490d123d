"""The local leaderboard: every experiment and blend by cross-validated AUC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from histoblend.evaluation.metrics import Metrics

COLUMNS = [
    "rank", "name", "kind", "status", "auc_pooled", "auc_fold_mean", "auc_fold_std", "accuracy", "tta_gain", "folds",
    "slides_policy", "inner_split", "pseudo_labels", "searched", "minutes", "images_per_second", "data_set",
    "synthetic", "local_leaderboard", "public_score", "private_score", "config_fingerprint", "data_fingerprint",
    "folds_fingerprint",
]  # fmt: skip


WIDE = 96  # columns that the whole printed table takes


def ranking_table(metrics: Sequence[Metrics]) -> pd.DataFrame:
    """One row an experiment, blend or addition: complete ones by pooled AUC, partial ones by theirs, test only.

    `public_score` and `private_score` are empty until a leaderboard has answered.
    """
    ordered = sorted(metrics, key=lambda one: (not one.complete, not one.folds, -one.auc_pooled))
    rows = [_row(one) for one in ordered]
    for number, row in enumerate(row for row in rows if row["status"] == "complete"):
        row["rank"] = number + 1
    return pd.DataFrame(rows, columns=COLUMNS).astype({"rank": "Int64"})


def _row(one: Metrics) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "status": "complete" if one.complete else "partial" if one.folds else "test only",
        "auc_pooled": one.auc_pooled,
        "auc_fold_mean": one.auc_fold_mean,
        "auc_fold_std": one.auc_fold_std,
        "accuracy": one.accuracy,
        "tta_gain": one.tta_gain,
        "folds": " ".join(map(str, one.folds)),
        "minutes": one.minutes,
        "images_per_second": one.images_per_second,
        "local_leaderboard": one.local_leaderboard,
        **one.about,
    }


def printed_ranking(table: pd.DataFrame, width: int = WIDE) -> Table:
    """The ranking for a terminal of `width` columns; a synthetic data set stands in its title.

    Where it is narrow, minutes and images/s are left to ranking.csv: a score is never cut.
    """
    synthetic = bool(table["synthetic"].any())
    held_out = bool(table["local_leaderboard"].notna().any())
    title = f"Ranking on {table['data_set'].iloc[0]}, folds by {table['slides_policy'].iloc[0]}"
    printed = Table(
        title=f"{title} (SYNTHETIC patches)" if synthetic else title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption=_caption(table),
        caption_justify="left",
    )
    several = bool(table["accuracy"].notna().any())
    headings = ["#", "name", "AUC", *(["accuracy"] if several else []), "folds: mean ± std", "TTA", "folds"]
    headings += (["test*"] if held_out else []) + (["min", "img/s"] if width >= WIDE else [])
    for heading in headings:
        printed.add_column(heading, justify="left" if heading in ("name", "folds") else "right", no_wrap=True)
    for row in table.to_dict("records"):
        printed.add_row(
            *_cells(row, held_out, several)[: len(headings)], style="bold" if row["kind"] == "blend" else None
        )
    if held_out:
        seen = (
            "whose labels no training saw"
            if table["pseudo_labels"].eq(True).any()
            else "which no training saw"
        )
        kind = "synthetic test patches" if synthetic else f"held-out patches, {seen}"
        printed.caption = f"{printed.caption}\ntest*: AUC on the {kind}".strip()
    return printed


def _caption(table: pd.DataFrame) -> str:
    """What the words in the table mean, those that stand in it."""
    words = {
        "yardstick: ranked, not blended": (table["kind"] == "yardstick").any(),
        "partial: not all folds, ranked apart, not blended": (table["status"] == "partial").any(),
        "+: learned from test patches too, by pseudo-labels": table["pseudo_labels"].eq(True).any(),
        "~: chosen by a sweep on these folds, which reads a little high": table["searched"].eq(True).any(),
        "test only: of unknown worth, not blended": (table["status"] == "test only").any(),
    }
    return "; ".join(word for word, stands in words.items() if stands)


def _cells(row: dict[str, Any], held_out: bool, several: bool) -> list[str]:
    cells = [
        str(row["rank"]) if row["status"] == "complete" else row["status"],
        _name(row),
        _number(row["auc_pooled"], ".4f"),
        *([_number(row["accuracy"], ".4f")] if several else []),
        _number(row["auc_fold_mean"], ".4f")
        + (f" ± {row['auc_fold_std']:.4f}" if " " in row["folds"] else ""),
        _number(row["tta_gain"], "+.4f"),
        row["folds"].replace(" ", ""),
        *([_number(row["local_leaderboard"], ".4f")] if held_out else []),
    ]
    minutes = _number(row["minutes"], ".1f") if row["minutes"] else ""
    return [*cells, minutes, _number(row["images_per_second"], ".0f")]


def _name(row: dict[str, Any]) -> str:
    """The name with what sets its score apart from the others."""
    mark = ("+" if row["pseudo_labels"] is True else "") + ("~" if row["searched"] is True else "")
    kind = f" ({row['kind']})" if row["kind"] in ("yardstick", "external") else ""
    return f"{row['name']}{mark}{kind}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None or pd.isna(value) else format(value, form)
