"""The local leaderboard: every experiment and blend by cross-validated AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from histoblend.evaluation.cluster_interval import ENOUGH_CLUSTERS
from histoblend.evaluation.metrics import Metrics
from histoblend.reporting.fit_width import widest_that_fits

COLUMNS = [
    "rank", "name", "kind", "status", "auc_pooled", "auc_low", "auc_high", "interval_method", "clusters",
    "auc_in_sample", "auc_fold_mean", "auc_fold_std", "accuracy", "tta_gain", "folds",
    "slides_policy", "inner_split", "pseudo_labels", "searched", "minutes", "images_per_second", "data_set",
    "synthetic", "local_leaderboard", "public_score", "private_score", "config_fingerprint", "data_fingerprint",
    "folds_fingerprint",
]  # fmt: skip


WIDE = 96  # columns of a terminal that is not known
WIDE_GAP = 0.01  # between a pooled AUC and the mean of its folds: worth a word
MAY_LACK = ("accuracy", "test*")  # columns that are left out where nothing is known for them


def ranking_table(metrics: Sequence[Metrics], ledger: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row an experiment, blend or addition: complete ones by pooled AUC, partial ones by theirs, test only.

    Args:
        ledger: public_score, private_score by name, as far as a leaderboard has answered.
    """
    ordered = sorted(metrics, key=lambda one: (not one.complete, not one.folds, -one.auc_pooled))
    rows = [_row(one) for one in ordered]
    for number, row in enumerate(row for row in rows if row["status"] == "complete"):
        row["rank"] = number + 1
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"rank": "Int64"})
    if ledger is not None:
        for column in ledger:
            table[column] = table["name"].map(ledger[column]).astype("float64")
    return table


def _row(one: Metrics) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "status": "complete" if one.complete else "partial" if one.folds else "test only",
        "auc_pooled": one.auc_pooled,
        **_interval(one),
        "auc_in_sample": one.auc_in_sample,
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


def _interval(one: Metrics) -> dict[str, Any]:
    if one.interval is None:
        return {}
    low, high, method, clusters = (one.interval[key] for key in ("low", "high", "method", "clusters"))
    return {"auc_low": low, "auc_high": high, "interval_method": method, "clusters": clusters}


def with_interval(row: Mapping[str, Any]) -> str:
    """``0.9181 [.890, .941]``: the pooled AUC of a row of the ranking, and its interval where there is one."""
    auc = number(row["auc_pooled"], ".4f")
    if pd.isna(row["auc_low"]) or not auc:
        return auc
    low, high = (f"{row[bound]:.3f}".removeprefix("0") for bound in ("auc_low", "auc_high"))
    return f"{auc} [{low}, {high}]"


def about_intervals(table: pd.DataFrame) -> str:
    """What the bracket behind an AUC is, over how many clusters, and whether they are enough."""
    known = table[table["auc_low"].notna()]
    if known.empty:
        return ""
    policy, clusters = known["slides_policy"].iloc[0], known["clusters"].max()
    if pd.isna(clusters):
        return "[ ]: 95 % interval of AUC, DeLong, single patches: slides are unknown, so it is too short"
    kind = "slides" if policy == "map" else "pseudo-slides"
    sentence = f"[ ]: 95 % interval of AUC, bootstrap of {clusters:.0f} {kind}"
    return (
        f"{sentence}: under {ENOUGH_CLUSTERS}, so unsure itself" if clusters < ENOUGH_CLUSTERS else sentence
    )


def about_gap(table: pd.DataFrame) -> str:
    """Why pooled AUCs lie below the mean of the folds, where one of a complete row clearly does; else nothing."""
    whole = table[table["status"] == "complete"]
    if not (whole["auc_fold_mean"] - whole["auc_pooled"] > WIDE_GAP).any():
        return ""
    return "AUC below the mean of folds: it compares patches across folds, which differ in classes or size"


def printed_ranking(table: pd.DataFrame, width: int = WIDE) -> Table:
    """The ranking for a terminal of `width` columns; a synthetic data set stands in its title.

    Where it is narrow, costs, intervals and the like are left to ranking.csv: a score is never cut.
    """
    with_and_without = {interval: _columns(table, interval) for interval in (True, False)}
    drafts = [_drawn(table, with_and_without[interval], left_out) for interval, left_out in DRAFTS]
    return widest_that_fits(drafts, width)


COSTS, MEAN = ("img/s", "min"), "folds: mean ± std"
DRAFTS: tuple[tuple[bool, tuple[str, ...]], ...] = (  # with intervals or not, and what is left out
    (True, ()),
    (True, ("img/s",)),
    (True, COSTS),
    (False, COSTS),
    (False, (*COSTS, "TTA")),
    (False, (*COSTS, "TTA", "folds")),
    (False, (*COSTS, "TTA", "folds", MEAN)),
)


def _drawn(table: pd.DataFrame, columns: dict[str, list[str]], left_out: tuple[str, ...]) -> Table:
    shown = {heading: cells for heading, cells in columns.items() if heading not in left_out}
    printed = Table(
        title=f"Ranking on {_data_set(table)}, folds by {table['slides_policy'].iloc[0]}{_mark(table)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption=_captions(table, shown),
        caption_justify="left",
    )
    for heading in shown:
        left = heading in ("name", "folds")
        printed.add_column(
            heading, justify="left" if left else "right", no_wrap=heading != "name", overflow="fold"
        )
    for kind, *cells in zip(table["kind"], *shown.values(), strict=True):
        printed.add_row(*cells, style="bold" if kind == "blend" else None)
    return printed


def _data_set(table: pd.DataFrame) -> str:
    return str(table["data_set"].iloc[0])


def _mark(table: pd.DataFrame) -> str:
    return " (SYNTHETIC patches)" if table["synthetic"].any() else ""


def _captions(table: pd.DataFrame, columns: dict[str, list[str]]) -> str:
    """Everything below the table, a line each."""
    bracket = about_intervals(table) if "[" in "".join(columns["AUC"]) else ""
    lines = [bracket, about_gap(table) if MEAN in columns else "", _caption(table)]
    if "test*" in columns:
        unseen = (
            "whose labels no training saw"
            if table["pseudo_labels"].eq(True).any()
            else "which no training saw"
        )
        kind = "synthetic test patches" if _mark(table) else f"held-out patches, {unseen}"
        lines.append(f"test*: AUC on the {kind}")
    return "\n".join(line for line in lines if line)


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


def _columns(table: pd.DataFrame, interval: bool) -> dict[str, list[str]]:
    """Cells by heading."""
    rows: list[dict[str, Any]] = table.to_dict("records")
    columns = {
        "#": [str(row["rank"]) if row["status"] == "complete" else row["status"] for row in rows],
        "name": [_name(row) for row in rows],
        "AUC": [with_interval(row) if interval else number(row["auc_pooled"], ".4f") for row in rows],
        "accuracy": [number(row["accuracy"], ".4f") for row in rows],
        MEAN: [_fold_mean(row) for row in rows],
        "TTA": [number(row["tta_gain"], "+.4f") for row in rows],
        "folds": [row["folds"].replace(" ", "") for row in rows],
        "test*": [number(row["local_leaderboard"], ".4f") for row in rows],
        "min": [number(row["minutes"] or None, ".1f") for row in rows],
        "img/s": [number(row["images_per_second"], ".0f") for row in rows],
    }
    return {heading: cells for heading, cells in columns.items() if heading not in MAY_LACK or any(cells)}


def _fold_mean(row: dict[str, Any]) -> str:
    spread = f" ± {row['auc_fold_std']:.4f}" if " " in row["folds"] else ""
    return number(row["auc_fold_mean"], ".4f") + spread


def _name(row: dict[str, Any]) -> str:
    """The name with what sets its score apart from the others."""
    mark = ("+" if row["pseudo_labels"] is True else "") + ("~" if row["searched"] is True else "")
    kind = f" ({row['kind']})" if row["kind"] in ("yardstick", "external") else ""
    return f"{row['name']}{mark}{kind}"


def number(value: float | None, form: str) -> str:
    """`value` in this form; nothing where it is not known."""
    return "" if value is None or pd.isna(value) else format(value, form)
