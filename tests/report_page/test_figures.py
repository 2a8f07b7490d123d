"""The report's figures: what they say, and that odd inputs do not break them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures import (
    Cost,
    Curve,
    Estimated,
    Reliability,
    RuleWeights,
    ViewGain,
    calibration_figure,
    correlation_figure,
    cost_figure,
    fold_dots_figure,
    interval_figure,
    precision_recall_figure,
    roc_figure,
    training_figure,
    tta_figure,
    weights_figure,
)
from histoblend.report_page.figures.drawing import POINTS, shortened, thinned
from histoblend.report_page.figures.palette import COLOURS, mark, stylesheet

LINE = np.linspace(0, 1, 5000)


def drawn(text: str) -> ElementTree.Element:
    """The SVG as a tree, after what holds for every drawing of the page."""
    root = ElementTree.fromstring(text)
    assert root.tag == "svg" and root.get("role") == "img"
    assert root[0].tag == "title" and root[1].tag == "desc"
    assert not re.search(r"http|#[0-9a-f]{6}|font-family|<style|NaN|nan", text)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(COLOURS)
    return root


def words(block: FigureBlock) -> str:
    """All text of the wide drawing, marks of no width left out."""
    found = [element.text or "" for element in drawn(block.svg).iter("text")]
    if block.narrow:
        drawn(block.narrow)
    return " | ".join(found).replace("\u200b", "")


def curve(name: str, area: float | None = 0.9, band: bool = False) -> Curve:
    edges = (LINE**0.2 * 0.9, np.minimum(LINE**0.2 * 1.1, 1)) if band else (None, None)
    return Curve(name, LINE, LINE**0.2, area, *edges)


def test_the_roc_figure_names_its_curves_in_words_and_picture() -> None:
    block = roc_figure([curve("vgg", 0.918, band=True), curve("_hidden", 0.9), curve("$a_b$", None)])
    assert block.alternative == "ROC curves of 3, AUC: vgg 0.9180, _hidden 0.9000 and $a_b$."
    shown = words(block)
    assert "vgg  0.9180" in shown and "_hidden  0.9000" in shown and "$a_b$" in shown
    assert "band is the 95 % interval of vgg" in block.caption
    assert "fill-opacity" in block.svg  # the band


def test_a_band_on_a_grid_of_its_own_and_long_curves_are_thinned() -> None:
    grid = np.linspace(0, 1, 11)
    block = roc_figure([Curve("a", LINE, LINE, 0.5, grid * 0.5, np.sqrt(grid), grid)])
    longest = max(len(path.get("d", "").split()) for path in drawn(block.svg).iter("path"))
    assert longest <= 3 * POINTS + 10
    assert [len(one) for one in thinned(LINE, LINE)] == [POINTS, POINTS]
    assert thinned(LINE)[0][[0, -1]].tolist() == [0, 1]


def test_thirty_curves_keep_six_marks_and_say_how_many_more_there_are() -> None:
    block = precision_recall_figure([curve(f"network_{number:02}") for number in range(30)], 0.405)
    assert "24 more" in words(block)
    assert "18 more" in block.alternative
    assert "0.405" in block.caption
    assert len({(one.colour, str(one.dash), one.marker) for one in map(mark, range(30))}) == 30


def test_intervals_say_their_numbers_and_do_without_where_there_are_none() -> None:
    rows = [
        Estimated("blend", 0.9181, 0.896, 0.9371, "blend", True),
        Estimated("alone", 0.9, np.nan, np.nan),
        Estimated("older", 0.85),
    ]
    block = interval_figure(rows)
    assert "blend 0.9181 (0.8960 to 0.9371); alone 0.9000 (no interval)" in block.alternative
    assert "0.9181 (0.8960–0.9371)" in words(block)
    assert "A mark without a bar has no interval." in block.caption
    assert "font-weight:bold" in block.svg or "font-weight:700" in block.svg


def test_gains_have_signs_and_a_line_at_the_reference() -> None:
    rows = [Estimated("equal", 0.0, 0.0, 0.0), Estimated("greedy", -0.001, -0.003, 0.001)]
    block = interval_figure(rows, "gain", reference=0.0)
    shown = words(block)
    assert "0.0000 (0.0000 to 0.0000)" in shown and "+0.0000" not in shown
    assert "−0.0010 (−0.0030 to +0.0010)" in shown
    assert "dashed line at 0" in block.caption


def test_folds_tell_the_worst_the_best_and_the_mean() -> None:
    block = fold_dots_figure({"a": {0: 0.9, 1: 0.8, 2: 1.0}, "b": {1: 0.7}})
    assert "a from 0.8000 (fold 1) to 1.0000 (fold 2), mean 0.9000" in block.alternative
    assert "b 0.7000 (fold 1 only)" in block.alternative
    assert {"fold 0", "fold 1", "fold 2", "mean of folds"} <= set(words(block).split(" | "))


def test_calibration_tells_where_it_is_furthest_off_and_skips_empty_bins() -> None:
    before = Reliability(
        "as predicted", np.array([0.1, np.nan, 0.8]), np.array([0.1, np.nan, 0.5]), np.array([9, 0, 3]), 0.07
    )
    block = calibration_figure([before], "vgg", "rightly named")
    assert "furthest off where 0.80 is predicted and 0.50 are rightly named" in block.alternative
    assert "as predicted (ECE 0.0700)" in words(block)
    empty = Reliability("none", np.full(3, np.nan), np.full(3, np.nan), np.zeros(3, int))
    assert "no patches" in calibration_figure([empty, before], "vgg").alternative


def test_correlations_name_the_least_and_the_most_alike() -> None:
    spearman = np.array([[1, 0.9, 0.95], [0.9, 1, 0.8], [0.95, 0.8, 1]])
    block = correlation_figure(["a", "b", "c"], spearman)
    assert "from 0.800 (b and c) to 0.950 (a and c)" in block.alternative
    assert {"0.80", "0.90", "0.95"} <= set(words(block).split(" | "))
    assert "itself" in correlation_figure(["a"], np.ones((1, 1))).alternative
    many = correlation_figure([f"network_{n:02}" for n in range(15)], np.full((15, 15), 0.9))
    assert not many.narrow and "0.90" not in words(many)
    assert "none could be computed" in correlation_figure(["a", "b"], np.full((2, 2), np.nan)).alternative


def test_weights_tell_how_far_they_move_between_folds() -> None:
    rules = [
        RuleWeights("mean", {"a": 0.5, "b": 0.5}, chosen=True),
        RuleWeights("greedy", {"a": 0.7, "b": 0.3}, {"0": {"a": 0.9, "b": 0.1}, "1": {"a": 0.4, "b": 0.6}}),
    ]
    block = weights_figure(rules)
    assert (
        "mean (chosen) a 0.500, b 0.500; greedy a 0.700, b 0.300 (moving by up to 0.500" in block.alternative
    )
    assert "mean (chosen)" in words(block) and "small circles" in block.caption
    many = weights_figure([RuleWeights("mean", {f"m{number}": 1 / 30 for number in range(30)})])
    assert "circles" not in many.caption
    assert "Shown are the 15 members with the greatest weights of 30." in many.caption


def test_training_shows_what_the_histories_hold() -> None:
    epochs = np.arange(1, 6)
    frame = pd.DataFrame({"epoch": epochs, "loss": 1 / epochs, "inner_auc": 0.9, "learning_rate": 0.001})
    one = pd.DataFrame({"epoch": [1], "loss": [0.5]})
    block = training_figure({"long": {0: frame, 3: frame * 1.0}, "short": {0: one}})
    shown = words(block).split(" | ")
    assert {"long", "short", "AUC, inner split", "learning rate", "fold 0", "fold 3"} <= set(shown)
    assert "accuracy" not in shown
    assert "long 5 epochs, loss from 1.000 to 0.200 (mean of 2 folds)" in block.alternative


def test_views_count_the_folds_that_gained() -> None:
    gains = [ViewGain("a", 1, 0.9, 0.92), ViewGain("a", 0, 0.9, 0.89), ViewGain("b", 0, 0.8, 0.8)]
    said = tta_figure(gains).alternative
    assert (
        "a +0.0050 on average, better in 1 of 2 folds" in said
        and "b +0.0000 on average, better in 0 of 1" in said
    )


def test_cost_names_what_nothing_beats() -> None:
    block = cost_figure(
        [Cost("slow", 0.95, 600), Cost("quick", 0.9, 5), Cost("beaten", 0.89, 50), Cost("x", 0.8, 0)]
    )
    shown = words(block).split(" | ")
    assert {"slow", "quick", "x"} <= set(shown) and "beaten" not in shown
    assert "quick 0.9000 in 5.0 minutes and slow 0.9500 in 600.0 minutes" in block.alternative


@pytest.mark.parametrize("count", [1, 30])
def test_one_and_thirty_experiments_are_drawn(count: int) -> None:
    names = [f"efficientnet_{number}_with_a_very_long_name_of_its_own" for number in range(count)]
    aucs = {name: dict.fromkeys(range(5), 0.9) for name in names}
    shown = words(fold_dots_figure(aucs)).split(" | ")
    assert len({one for one in shown if one.startswith("efficientnet")}) == count  # cut, but still told apart
    words(interval_figure([Estimated(name, 0.9, 0.9, 0.9) for name in names]))


def test_names_are_cut_where_they_stay_different() -> None:
    assert shortened(["short", "a" * 20], 9) == ["short", "aaaa…aaaa"]
    names = [f"network_{number:02}_of_many" for number in range(20)]
    assert len(set(shortened(names, 12))) == 20
    assert all(len(one) <= 12 for one in shortened(names, 12))


def test_drawing_again_gives_the_same_bytes() -> None:
    blocks = [roc_figure([curve("a", band=True)]) for _ in range(2)]
    assert blocks[0] == blocks[1]


def test_the_colours_stand_out_from_both_papers() -> None:
    for side in (0, 1):
        for name, pair in COLOURS.items():
            needed = {"ink": 4.5, "muted": 4.5, "link": 4.5, "alarm": 4.5}.get(
                name, 3 if "series" in name else 1
            )
            papers = ["paper", "raised"] + (["alarm-paper"] if name in ("ink", "alarm") else [])
            for paper in papers if needed > 3 else ["paper"]:
                assert contrast(pair[side], COLOURS[paper][side]) >= needed, (name, paper, side)
    assert stylesheet().count("--series6:") == 5


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast of two ``#rrggbb``."""
    light = sorted((luminance(one), luminance(other)))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(colour: str) -> float:
    parts = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return float(
        np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    )
