from __future__ import annotations

import numpy as np
import pytest

from histoblend.inference.tiles import Grid
from histoblend.predicting.answers import Answer, answer_of, answers_table, scores_of, tiles_table

TWO, THREE = ("no tumour", "tumour"), ("car", "truck", "train")


def test_two_classes_tell_of_the_second() -> None:
    scores = scores_of(np.array([[0.0], [2.0], [-2.0]]), TWO)
    assert scores.name == "tumour"
    np.testing.assert_allclose(scores.values, [0.5, 0.880797, 0.119203], rtol=1e-5)
    np.testing.assert_allclose(scores.all_classes.sum(axis=1), 1)


def test_several_classes_tell_of_the_one_with_the_highest_mean() -> None:
    scores = scores_of(np.array([[0.0, 9.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 3.0]]), THREE)
    assert scores.name == "train"
    answer = answer_of("street.jpg", (30, 90), scores, Grid(30, 90, 96, 32))
    assert answer.row()["mean truck"] == pytest.approx(scores.all_classes[:, 1].mean())
    assert sum(answer.per_class.values()) == pytest.approx(1)


def test_the_highest_tile_is_named_by_the_centre_of_its_cell() -> None:
    grid = Grid(70, 100, 96, 32)  # 3 x 4 cells; those at the right and below are cut
    logits = np.full((12, 1), -3.0)
    logits[11] = 1.0
    answer = answer_of("a.png", (70, 100), scores_of(logits, TWO), grid)
    assert (answer.x, answer.y) == (96 + 2, 64 + 3)
    assert (answer.width, answer.height, answer.tiles) == (100, 70, 12)
    assert answer.mean < answer.probability == pytest.approx(0.7310586)


def test_a_patch_has_no_place() -> None:
    answer = answer_of("a.tif", (96, 96), scores_of(np.array([[0.3]]), TWO), None)
    assert (answer.tiles, answer.x, answer.y, answer.per_class) == (1, None, None, {})


def test_the_table_has_whole_numbers_and_a_row_for_what_could_not_be_read() -> None:
    read = answer_of("a.png", (70, 100), scores_of(np.zeros((12, 1)), TWO), Grid(70, 100, 96, 32))
    patch = answer_of("b.tif", (96, 96), scores_of(np.zeros((1, 1)), TWO), None)
    table = answers_table([read, patch, Answer("c.tif", fault="empty file")])
    assert table["x"].tolist()[0] == 16
    assert table["x"].isna().tolist() == [False, True, True]
    assert str(table["tiles"].dtype) == "Int64"
    assert table.loc[2, "fault"] == "empty file"
    assert np.isnan(table.loc[2, "probability"])


def test_tiles_cover_the_picture_once() -> None:
    grid = Grid(70, 100, 96, 32)
    table = tiles_table(scores_of(np.zeros((12, 1)), TWO), grid)
    assert list(table.columns) == ["x", "y", "width", "height", "probability"]
    assert (table["width"] * table["height"]).sum() == 70 * 100
    assert (table["x"] + table["width"]).max() == 100
    several = tiles_table(scores_of(np.zeros((12, 3)), THREE), grid)
    assert list(several.columns[4:]) == ["probability car", "probability truck", "probability train"]
