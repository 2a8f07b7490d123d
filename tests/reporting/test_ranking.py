from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from histoblend.execution.collect import Metrics
from histoblend.reporting.ranking import COLUMNS, printed_ranking, ranking_table


def metrics(name: str, auc: float, **changes: Any) -> Metrics:
    about = {"slides_policy": "map", "data_set": "toy", "synthetic": changes.pop("synthetic", False)}
    settings = {"kind": "experiment", "complete": True, "folds": [0, 1]} | changes
    return Metrics(
        name=name,
        auc_pooled=auc,
        auc_fold_mean=auc,
        auc_fold_std=0.01,
        about=about | {"inner_split": False},
        **settings,
    )


ROWS = [
    metrics("low", 0.7, tta_gain=-0.001, minutes=1.5, images_per_second=99.6),
    metrics("screened", 0.99, complete=False, folds=[0]),
    metrics("hgb", 0.8, kind="yardstick"),
    metrics("blend", 0.9, kind="blend"),
]


def printed(rows: list[Metrics], width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(printed_ranking(ranking_table(rows), width))
    return stream.getvalue()


def test_one_fold_alone_has_no_spread():
    alone = replace(metrics("screened", 0.9, complete=False, folds=[0]), auc_fold_std=None)
    assert pd.isna(ranking_table([alone, ROWS[0]])["auc_fold_std"][1])
    assert "0.9000" in printed([alone]) and "0.9000 ±" not in printed([alone])


def test_complete_ones_by_auc_and_partial_ones_apart_without_a_rank():
    table = ranking_table(ROWS)
    assert table["name"].tolist() == ["blend", "hgb", "low", "screened"]
    assert table["rank"].tolist()[:3] == [1, 2, 3] and table["rank"].isna().tolist() == [False] * 3 + [True]
    assert table["status"].tolist() == ["complete"] * 3 + ["partial"]
    assert list(table.columns) == COLUMNS
    assert table[["public_score", "private_score"]].isna().all(axis=None)


def test_nothing_to_rank_is_an_empty_table():
    assert list(ranking_table([]).columns) == COLUMNS and len(ranking_table([])) == 0


def test_printed_ranking_says_yardstick_partial_and_fold_policy():
    text = printed(ROWS)
    assert "folds by map" in text and "hgb (yardstick)" in text and "partial" in text
    assert "0.9000 ± 0.0100" in text and "-0.0010" in text
    assert "SYNTHETIC" not in text and "LB*" not in text


def test_nobody_mistakes_a_synthetic_ranking_for_a_real_one():
    text = printed([metrics("a", 0.9, synthetic=True, local_leaderboard=0.8512)])
    assert "SYNTHETIC" in text and "0.8512" in text


INTERVAL = {"low": 0.8901, "high": 0.9412, "standard_error": 0.01, "level": 0.95, "method": "slide bootstrap",
            "clusters": 60, "warning": None}  # fmt: skip


def long_rows(**changes: Any) -> list[Metrics]:
    costs = {"minutes": 17.01, "images_per_second": 485.9, "tta_gain": 0.0057, "folds": [0, 1, 2, 3, 4]}
    names = ["mini_logit_mean", "mini_vgg_without_colour", "texture_hgb"]
    return [metrics(name, 0.9181, interval=INTERVAL | changes, **costs) for name in names]


def test_intervals_stand_in_the_csv_and_beside_the_score():
    table = ranking_table([*long_rows(), metrics("old", 0.8)])
    assert table[["auc_low", "auc_high", "interval_method", "clusters"]].iloc[0].tolist() == [
        0.8901, 0.9412, "slide bootstrap", 60,
    ]  # fmt: skip
    assert table["auc_low"].isna().tolist() == [False] * 3 + [True]
    text = printed([*long_rows(), metrics("old", 0.8)], 120)
    assert "0.9181 [.890, .941]" in text and "0.8000 [" not in text
    assert "95 % interval of AUC, bootstrap of 60 slides" in text and "under 40" not in text


def test_few_clusters_and_unknown_slides_are_warned_of():
    assert "bootstrap of 20 slides: under 40" in printed(long_rows(clusters=20), 120)
    alone = long_rows(clusters=None, method="DeLong")
    for row in alone:
        row.about["slides_policy"] = "none"
    assert "DeLong, single patches" in printed(alone, 120)


def test_no_interval_is_no_bracket():
    text = printed(long_rows(low=float("nan"), high=float("nan")), 120)
    assert "0.9181" in text and "[" not in text and "nan" not in text


def test_a_pooled_score_far_below_its_folds_is_explained_where_both_stand():
    said = "AUC below the mean of folds:"
    near = replace(metrics("near", 0.93), auc_fold_mean=0.9399)
    far = replace(metrics("far", 0.92), auc_fold_mean=0.9428)
    assert said in printed([near, far], 120) and said not in printed([near], 120)
    assert said not in printed([far], 30)  # the column is left out


@pytest.mark.parametrize("width", [50, 60, 72, 80, 96, 104, 120])
def test_a_score_is_never_cut(width: int):
    lines = printed(long_rows(), width).splitlines()
    assert sum("0.9181" in line for line in lines) == 3 and not any("…" in line for line in lines)
    assert all(len(line) <= width for line in lines)
    assert ("[.890, .941]" in "".join(lines)) == (width >= 96)


def test_leaderboard_scores_are_joined_by_name():
    ledger = pd.DataFrame({"public_score": [0.91], "private_score": [None]}, index=["hgb"])
    table = ranking_table(ROWS, ledger).set_index("name")
    assert table["public_score"].dropna().to_dict() == {"hgb": 0.91} and table["private_score"].isna().all()


def test_missing_figures_are_blank():
    row = next(line for line in printed(ROWS).splitlines() if "blend" in line)
    assert "nan" not in row and "None" not in row


def test_who_learned_from_test_patches_is_marked():
    plain, student = metrics("plain", 0.8), metrics("student", 0.9)
    student.about["pseudo_labels"] = True
    text = printed([plain, student])
    assert "student+ " in text and "plain " in text and "plain+" not in text
    assert "+: learned from test patches too" in text
    assert "+: learned" not in printed([plain])


def test_who_was_chosen_by_a_sweep_is_marked():
    plain, winner = metrics("plain", 0.8), metrics("winner", 0.9)
    winner.about["searched"] = True
    assert ranking_table([plain, winner])["searched"].tolist()[0] is True
    text = printed([plain, winner], 120)
    assert "winner~ " in text and "plain " in text and "plain~" not in text
    assert "~: chosen by a sweep on these folds" in text
    assert "~: chosen" not in printed([plain])


@pytest.mark.parametrize("column", ["auc_pooled", "minutes"])
def test_figures_survive_the_csv(column: str, tmp_path):
    table = ranking_table(ROWS)
    table.to_csv(tmp_path / "r.csv", index=False)
    pd.testing.assert_series_equal(pd.read_csv(tmp_path / "r.csv")[column], table[column])
