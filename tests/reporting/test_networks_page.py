"""The page of networks, from records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from histoblend.models.registry import NETWORKS
from histoblend.reporting.networks_figure import LINE, spread_out, write_figure
from histoblend.reporting.networks_page import figure_path, has_scores, page_text
from histoblend.workspace import read_json

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "networks.md"


def record(name: str, auc: float | None, **changes: Any) -> dict[str, Any]:
    result = {
        "auc": auc, "auc_one_view": (auc or 0) - 0.01, "views": 4, "patches": 524, "passes": 9.13, "minutes": 4.0,
        "fold": 0, "date": "2026-11-22",
    }  # fmt: skip
    return {
        "name": name, "network": name, "family": "vgg", "recipe": "mini_resnet", "weights": "from scratch",
        "parameters": 295217, "macs": 120766720, "input_size": 96, "machine": "AMD EPYC, 2 threads", "commit": "abc1",
        "command": "histoblend trial --minutes 4", "refused": None, "result": result if auc else None,
        "versions": {"python": "3.11", "keras": "3.15"},
        "data": {"name": "hcd-mini", "fingerprint": "d1", "folds": "f1", "synthetic": False},
        "speeds": {"train": 81.4, "predict": 412.0, "precision": "mixed_bfloat16", "date": "2026-11-21",
                   "busy_cores": 0.1},
    } | changes  # fmt: skip


def page(*trials: dict[str, Any], others: tuple[dict[str, Any], ...] = ()) -> str:
    return page_text({"trials": list(trials), "not_tried": list(others)}, Path("docs/networks.md"))


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_rows_are_sorted_by_score_and_hold_what_was_measured():
    text = page(record("worse", 0.8), record("speed_only", None), record("better", 0.9123))
    assert [row[0] for row in rows(text)] == ["`better`", "`worse`", "`speed_only`"]
    best = ["`better`", "vgg", "295.2k", "120.8M", "81", "412", "9.1", "0.902", "0.912", ""]
    assert rows(text)[0] == [one.replace("295.2k", "295k").replace("120.8M", "121M") for one in best]
    assert rows(text)[2][4:] == ["81", "412", "—", "—", "—", ""]
    assert "first is `better`" in text and "4.0 minutes" in text and "524 patches" in text


def test_networks_without_a_trial_have_dashes():
    other = {"name": "vgg16", "family": "vgg", "parameters": 14714688, "macs": 2_800_000_000}
    (_, row) = rows(page(record("one", 0.9), others=(other,)))
    assert row == ["`vgg16`", "vgg", "14.7M", "2.8G", "—", "—", "—", "—", "—", "not tried"]


def test_a_row_says_its_weights_recipe_and_refusal():
    text = page(
        record("densenet121", 0.7, weights="none"),
        record("mini_vgg_colour", 0.9, network="small_vgg", recipe="mini_vgg_colour"),
        record("broken", None, refused="Too\nsmall.", speeds=None, parameters=None, macs=None),
    )
    notes = {row[0]: row[9] for row in rows(text)}
    assert notes["`densenet121`"] == "from random weights"
    assert notes["`mini_vgg_colour`"] == "`small_vgg` with its own recipe"
    assert notes["`broken`"] == "refused, see below"
    assert "`broken` was refused: Too small." in text


def test_one_view_networks_have_no_tta():
    one = record("d4_resnet", 0.9)
    one["result"] |= {"views": 1, "auc_one_view": 0.9}
    assert rows(page(one))[0][7:9] == ["0.900", "—"]


def test_conditions_and_warnings():
    text = page(record("one", 0.9))
    for word in ("hcd-mini (data d1, folds f1)", "AMD EPYC, 2 threads, mixed_bfloat16", "2026-11-21 to 2026-11-22",
                 "histoblend trial --minutes 4", "noise", "keras 3.15", "commit abc1"):  # fmt: skip
        assert word in text
    assert "SYNTHETIC" not in text and "not quiet" not in text
    busy = record("one", 0.9)
    busy["speeds"]["busy_cores"] = 3.0
    assert "not quiet when these rates were measured: `one`" in page(busy)
    drawn = record("one", 0.9)
    drawn["data"]["synthetic"] = True
    assert "SYNTHETIC" in page(drawn).split("|")[0]


def test_without_any_score_nothing_is_recommended():
    text = page(record("one", None))
    assert "No trial has been run yet" in text and "![" not in text and "noise" not in text


def test_labels_do_not_cover_each_other_and_stay_near():
    generator = np.random.default_rng(0)
    places = generator.uniform(0.3, 0.6, (20, 2))
    widths = [0.15] * 20
    heights = spread_out(places, widths)
    for one in range(20):
        for other in range(one):
            beside = abs(places[one, 0] - places[other, 0]) < 0.15
            assert not beside or abs(heights[one] - heights[other]) >= LINE * 0.99
    alone = np.array([[0.1, 0.1], [0.5, 0.5], [0.9, 0.1]])
    assert np.array_equal(spread_out(alone, [0.1] * 3), alone[:, 1])


def test_the_figure_is_written(tmp_path: Path):
    path = figure_path(tmp_path / "networks.md")
    write_figure(path, [record("one", 0.9), record("two", None), record("three", 0.8, weights="none")])
    assert path == tmp_path / "images" / "networks.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_committed_page_is_what_its_records_make():
    content = read_json(PAGE.with_suffix(".json"))
    assert PAGE.read_text() == page_text(content, PAGE)
    assert figure_path(PAGE).exists() == has_scores(content["trials"])


def test_the_committed_page_knows_every_network():
    content = read_json(PAGE.with_suffix(".json"))
    known = {trial["network"] for trial in content["trials"]} | {one["name"] for one in content["not_tried"]}
    assert known == {name for name, row in NETWORKS.items() if row.kind == "keras"}
