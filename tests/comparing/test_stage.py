"""The comparison as a command: what is printed, what is written."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from histoblend.comparing import CompareRequest, compare
from histoblend.errors import ConfigRefusal, DataRefusal, MachineRefusal
from histoblend.reporting.progress import Display


def said(output: Any, *names: str, width: int = 120, **request: Any) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, soft_wrap=True, force_terminal=True, color_system=None)
    compare(CompareRequest(names, output.folder, **request), Display(console), {})
    return stream.getvalue()


def test_everything_is_told_and_written(output: Any):
    text = said(output, "vgg", "resnet")
    for words in (
        "300 patches of toy (SYNTHETIC patches), folds by map",
        "less vgg [95 %]",
        "AUC by fold (*: best)",
        "training.epochs",
        "stored numbers",
        "Where they disagree most",
        "told apart",
    ):
        assert words in text, words
    assert "]" in text and "\\[" not in text
    table = pd.read_csv(output.workspace.comparisons / "vgg_vs_resnet.csv")
    assert table["apart"].is_monotonic_decreasing and len(table) == 200
    picture = cv2.imread(str(output.workspace.comparisons / "vgg_vs_resnet.png"))
    assert picture is not None and picture.std() > 20
    assert "pixels from the pixel cache" in text


def test_the_picture_holds_the_patches_of_the_table_in_its_order(output: Any):
    said(output, "vgg", "resnet", to=output.folder / "x.png")
    picture = cv2.cvtColor(cv2.imread(str(output.folder / "x.png")), cv2.COLOR_BGR2RGB)
    number = int(pd.read_csv(output.folder / "x.csv")["id"][0].removeprefix("patch"))
    image = np.load(output.folder / "cache" / output.data / "train.npy")[number]
    scale = 220 // 16
    corner = picture[28 + scale // 2 :: scale, 4 + scale // 2 :: scale][:2, :2]
    np.testing.assert_array_equal(corner, image[:2, :2])


def test_without_pixels_the_rest_is_told_and_how_to_get_them(output: Any):
    shutil.rmtree(output.folder / "cache")
    text = said(output, "vgg", "resnet")
    assert "No picture was drawn" in text and "--data" in text
    assert (output.workspace.comparisons / "vgg_vs_resnet.csv").exists()
    assert not (output.workspace.comparisons / "vgg_vs_resnet.png").exists()


def test_blends_and_experiments_are_told_apart_by_what_they_are(output: Any):
    text = said(output, "toy_logit_mean", "toy_greedy", "vgg")
    assert "Settings that differ, of blends" in text and "weight of vgg" in text
    assert "An experiment and a blend have no setting in common" in text
    assert "Each difference stands for itself" in text


@pytest.mark.parametrize("width", [80, 96, 120])
def test_no_number_is_cut(output: Any, width: int):
    lines = said(output, "toy_logit_mean", "vgg", "resnet", width=width).splitlines()
    assert not any("…" in line for line in lines)
    row = next(line for line in lines if line.strip().startswith("vgg") and "[" in line)
    assert row.count("[") == 2 and row.count("]") == 2


def test_where_nothing_can_be_written_the_rest_is_told(output: Any):
    output.workspace.comparisons.write_text("in the way")
    assert "No table or picture was written" in said(output, "vgg", "resnet")
    with pytest.raises(MachineRefusal, match="--to FILE"):
        said(output, "vgg", "resnet", to=output.workspace.comparisons / "x.png")


def test_settings_are_folded_to_the_terminal(output: Any):
    steps = [
        {
            "name": "Affine",
            "rotate": [-10, 10],
            "translate_percent": [-0.08, 0.08],
            "scale": [0.9, 1.1],
            "p": 1.0,
        }
    ]
    output.experiment("bare", augmentation=[])
    output.experiment("moved", augmentation=steps)
    text = said(output, "bare", "moved", width=60).split("Settings")[1].split("Cost")[0]
    assert "translate_percent" in text and all(len(line) <= 60 for line in text.splitlines())


def test_nonsense_is_refused_before_anything_is_written(output: Any):
    with pytest.raises(ConfigRefusal, match="no picture"):
        said(output, "vgg", "resnet", to=Path("x.jpg"))
    with pytest.raises(DataRefusal, match="There is no"):
        said(output, "vgg", "resnet", data=output.folder / "gone")
    assert not output.workspace.comparisons.exists()
