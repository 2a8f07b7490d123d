"""The contact sheet of an experiment's augmentation."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from histoblend.competition.layouts import read_competition
from histoblend.competition.source import Source
from histoblend.errors import ConfigRefusal
from histoblend.reporting import augment_preview
from histoblend.reporting.augment_preview import write_augment_preview
from histoblend.reporting.contact_sheet import GAP, LINE, TITLE

SIDE, COLUMNS = 2 * 96, 9


def preview(path: Path, data: Path | None, experiment: str = "first", seed: int = 0) -> np.ndarray:
    write_augment_preview(experiment, data, path, (3, seed), dict(os.environ))
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def tile(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = GAP + TITLE + row * (SIDE + GAP + LINE), GAP + column * (SIDE + GAP)
    return picture[top : top + SIDE, left : left + SIDE]


def test_each_row_shows_a_patch_and_its_variants(toy: Path, toy_configs: Path, tmp_path: Path) -> None:
    picture = preview(tmp_path / "sheet.png", toy)
    assert picture.shape == (GAP + TITLE + 3 * (SIDE + GAP + LINE), GAP + COLUMNS * (SIDE + GAP), 3)
    for row in range(3):
        for column in range(2, COLUMNS):  # `none`: every variant is the patch itself
            np.testing.assert_array_equal(tile(picture, row, column), tile(picture, row, 1))
        outlined = (tile(picture, row, 0) != tile(picture, row, 1)).any(axis=2)
        assert 0 < outlined.mean() < 0.05  # the original, but for the line around its centre
    assert (tile(picture, 0, 1) != tile(picture, 1, 1)).any()


def test_an_augmentation_shows_and_the_seed_decides(toy: Path, toy_configs: Path, tmp_path: Path) -> None:
    heavy = preview(tmp_path / "a.png", toy, "everything")
    assert any((tile(heavy, 0, column) != tile(heavy, 0, 1)).any() for column in range(2, COLUMNS))
    np.testing.assert_array_equal(preview(tmp_path / "b.png", toy, "everything"), heavy)
    assert (preview(tmp_path / "c.png", toy, "everything", seed=1) != heavy).any()


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """In place of a picture: how many patches it would have shown, and its title."""
    asked: list[tuple[int, str]] = []

    def sheet(patches: np.ndarray, *_: object, title: str, **__: object) -> np.ndarray:
        asked.append((len(patches), title))
        return patches[0]

    monkeypatch.setattr(augment_preview, "augmentation_sheet", sheet)
    return asked


def test_more_patches_than_there_are_show_all_of_them(
    toy: Path, toy_configs: Path, tmp_path: Path, sheets: list[tuple[int, str]]
) -> None:
    write_augment_preview("first", toy, tmp_path / "all.png", (1000, 0), dict(os.environ))
    assert sheets == [(60, "first: augmentation none")]


def test_patches_that_were_drawn_are_called_synthetic(
    toy: Path,
    toy_configs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sheets: list[tuple[int, str]],
) -> None:
    folders: list[Path] = []

    def draw(folder: Path, _: object) -> Source:
        folders.append(folder)
        return Source(replace(read_competition(toy), synthetic=True), "drawn")

    monkeypatch.setattr(augment_preview, "draw_source", draw)
    preview(tmp_path / "drawn.png", None, "everything")
    preview(tmp_path / "found.png", toy, "everything")
    title = "everything: augmentation heavy"
    assert sheets == [(3, f"{title} (SYNTHETIC patches)"), (3, title)]
    assert len(folders) == 1 and not folders[0].parent.exists()  # drawn aside, and cleared away


def test_an_unknown_experiment_is_named_with_its_nearest(
    toy: Path, toy_configs: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigRefusal, match="Did you mean first"):
        preview(tmp_path / "sheet.png", toy, "frst")
