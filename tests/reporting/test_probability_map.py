from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histoblend.inference.tiles import Grid
from histoblend.reporting.probability_map import SHOWN, MapTitle, map_figure, write_probability_map

TITLE = MapTitle("slide.png", "tumour", "mini_vgg, tile by tile")


def drawn(height: int, width: int, title: MapTitle = TITLE):
    grid = Grid(height, width, 96, 32)
    picture = np.full((height, width, 3), 200, np.uint8)
    values = np.linspace(0.2, 0.4, grid.count).reshape(grid.rows, grid.columns)
    return map_figure(picture, values, grid, title), values


def texts(figure) -> str:
    return " ".join([figure.get_suptitle(), figure.get_supxlabel()]).replace("\n", " ")


def test_cells_lie_where_they_were_judged_and_colours_run_from_0_to_1() -> None:
    figure, values = drawn(200, 250)
    shown = figure.axes[1].images[0]
    np.testing.assert_array_equal(shown.get_array(), values)
    assert shown.get_clim() == (0, 1)  # not stretched to the values found
    assert list(shown.get_extent()) == [0, 256, 224, 0]  # 8 x 7 cells of 32 reach beyond the picture
    for axes in figure.axes[:3]:
        assert axes.get_xlim() == (0, 250)
        assert axes.get_ylim() == (200, 0)


def test_words_say_class_scale_and_that_it_is_an_estimate() -> None:
    figure, _ = drawn(200, 250)
    said = texts(figure)
    for word in ("slide.png", "probability of tumour", "250 x 200", "32 x 32", "96 x 96", "no diagnosis"):
        assert word in said
    assert "SYNTHETIC" not in said
    assert figure.axes[3].get_ylabel() == "probability of tumour"


def test_a_model_of_drawn_patches_is_marked() -> None:
    figure, _ = drawn(200, 250, MapTitle("slide.png", "tumour", "first", synthetic=True))
    assert "trained on SYNTHETIC patches" in texts(figure)


@pytest.mark.parametrize(
    ("height", "width", "beside"), [(200, 200, True), (100, 900, False), (900, 97, True)]
)
def test_panels_lie_beside_or_below_each_other_as_fits(height: int, width: int, beside: bool) -> None:
    figure, _ = drawn(height, width)
    figure.draw_without_rendering()
    first, second = figure.axes[0].get_position(), figure.axes[1].get_position()
    assert (first.x1 < second.x0) == beside
    assert (first.y0 > second.y1) != beside
    box = figure._supxlabel.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1  # the words are not cut


def test_a_huge_picture_is_shown_small_and_in_its_own_pixels() -> None:
    figure, _ = drawn(3000, 4100)
    assert max(figure.axes[0].images[0].get_array().shape) == SHOWN
    assert figure.axes[0].get_xlim() == (0, 4100)


def test_the_png_can_be_looked_at(tmp_path: Path) -> None:
    grid = Grid(100, 120, 96, 32)
    picture = np.zeros((100, 120, 3), np.uint8)
    path = tmp_path / "deep" / "slide.png.map.png"
    write_probability_map(path, picture, np.ones((grid.rows, grid.columns)), grid, TITLE)
    image = cv2.imread(str(path))
    yellow = np.abs(image.astype(int) - (37, 231, 253)).max(axis=2) < 4  # viridis at 1, in BGR
    assert yellow.mean() > 0.1
