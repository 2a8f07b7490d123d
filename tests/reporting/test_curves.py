"""The ROC curve as a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from histoblend.reporting.curves import write_roc_curve

LABELS = np.array([0, 0, 0, 1, 1, 1])
BLUE = (119, 180)  # C0 is #1f77b4: green and blue channel


def drawn(path: Path, scores: list[float]) -> np.ndarray:
    write_roc_curve(path, LABELS, np.array(scores)[:, None], "experiment one, held-out fold 0", ("no", "yes"))
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def curve_rows(picture: np.ndarray) -> np.ndarray:
    """Rows of the pixels in the curve's colour, left of the legend."""
    blue, green, _ = np.moveaxis(picture.astype(int), -1, 0)
    rows, columns = np.nonzero((abs(green - BLUE[0]) < 8) & (abs(blue - BLUE[1]) < 8))
    return rows[columns < picture.shape[1] // 2] / len(picture)


def test_a_perfect_ranking_hugs_the_top_and_a_reversed_one_the_floor(tmp_path: Path) -> None:
    perfect = drawn(tmp_path / "perfect.png", [0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    reversed_ = drawn(tmp_path / "reversed.png", [0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    assert perfect.shape == reversed_.shape and min(perfect.shape[:2]) >= 300
    assert np.median(curve_rows(perfect)) < 0.5 < np.median(curve_rows(reversed_))


def test_of_more_classes_each_has_its_curve(tmp_path: Path) -> None:
    """The first class, in the first colour, is ranked perfectly: its curve hugs the top."""
    labels, logits = np.arange(12) % 3, np.random.default_rng(0).normal(size=(12, 3))
    logits[:, 0] = np.where(labels == 0, 9.0, -9.0)
    write_roc_curve(tmp_path / "roc.png", labels, logits, "digits", ("zero", "one", "two"))
    picture = cv2.imread(str(tmp_path / "roc.png"))
    assert picture is not None and np.median(curve_rows(picture)) < 0.5


def test_the_picture_replaces_an_older_one_and_leaves_nothing_beside(tmp_path: Path) -> None:
    folder = tmp_path / "new folder"
    first = drawn(folder / "roc.png", [0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    second = drawn(folder / "roc.png", [0.1, 0.8, 0.3, 0.7, 0.2, 0.9])
    assert (first != second).any()
    assert [path.name for path in folder.iterdir()] == ["roc.png"]
