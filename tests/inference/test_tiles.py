from __future__ import annotations

import numpy as np
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.inference.tiles import Grid, cut_tiles, default_stride, reflected, tile_batches, window


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 101, 3), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_reflection_is_numpys_however_far_outside(length: int) -> None:
    padded = np.pad(np.arange(length), (40, 40), mode="reflect")
    np.testing.assert_array_equal(reflected(np.arange(-40, length + 40), length), padded)


@pytest.mark.parametrize(("side", "stride"), [(96, 32), (24, 8), (24, 5), (25, 8), (24, 24), (150, 50)])
def test_tiles_are_crops_of_the_reflected_picture_around_their_cells(
    picture: np.ndarray, side: int, stride: int
) -> None:
    grid = Grid(*picture.shape[:2], side, stride)
    padded = np.pad(picture, ((200, 200), (200, 200), (0, 0)), mode="reflect")
    tiles = cut_tiles(picture, grid, np.arange(grid.count))
    for number, (top, left) in enumerate(zip(*grid.corners(np.arange(grid.count)), strict=True)):
        first, second = top + 200 - (side - stride) // 2, left + 200 - (side - stride) // 2
        np.testing.assert_array_equal(tiles[number], padded[first : first + side, second : second + side])


@pytest.mark.parametrize("shape", [(70, 101), (96, 97), (1, 300), (97, 40)])
@pytest.mark.parametrize("stride", [5, 8])
def test_every_pixel_lies_in_the_labelled_centre_of_exactly_one_tile(
    shape: tuple[int, int], stride: int
) -> None:
    side = 24
    grid = Grid(*shape, side, stride)
    covered = np.zeros(shape, np.int64)
    numbers = np.arange(grid.count)
    for top, left, height, width in zip(*grid.corners(numbers), *grid.cell_sizes(numbers), strict=True):
        covered[top : top + height, left : left + width] += 1
        first = top - grid.margin  # of the tile; its labelled centre is the middle third
        assert first + side // 3 <= top
        assert top + height <= first + side - side // 3
    assert (covered == 1).all()


def test_batches_are_all_tiles_in_order_and_never_more_than_asked(picture: np.ndarray) -> None:
    grid = Grid(*picture.shape[:2], 24, 8)
    batches = list(tile_batches(picture, grid, 10))
    assert max(len(tiles) for _, tiles in batches) == 10
    np.testing.assert_array_equal(np.concatenate([numbers for numbers, _ in batches]), np.arange(grid.count))
    whole = cut_tiles(picture, grid, np.arange(grid.count))
    np.testing.assert_array_equal(np.concatenate([tiles for _, tiles in batches]), whole)


def test_a_shift_by_one_stride_shifts_the_tiles_by_one(picture: np.ndarray) -> None:
    before, after = Grid(70, 101, 24, 8), Grid(62, 93, 24, 8)
    tiles = cut_tiles(picture, before, np.arange(before.count)).reshape(before.rows, before.columns, -1)
    shifted = cut_tiles(picture[8:, 8:], after, np.arange(after.count)).reshape(after.rows, after.columns, -1)
    # the first row and column of the shifted picture see its own reflection
    np.testing.assert_array_equal(tiles[2:, 2:], shifted[1:, 1:])


def test_a_picture_of_one_patch_is_its_own_middle_tile() -> None:
    patch = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    grid = Grid(96, 96, 96, default_stride(96))
    assert (grid.rows, grid.columns, default_stride(96)) == (3, 3, 32)
    np.testing.assert_array_equal(cut_tiles(patch, grid, np.array([4]))[0], patch)


def test_a_window_inside_is_a_slice_and_outside_a_reflection(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(window(picture, 5, 7, (20, 30)), picture[5:25, 7:37])
    np.testing.assert_array_equal(window(picture, -3, 7, (6, 2))[:3], picture[3:0:-1, 7:9])


@pytest.mark.parametrize("stride", [0, -3, 97])
def test_a_stride_that_would_leave_pixels_unseen_is_refused(stride: int) -> None:
    with pytest.raises(ConfigRefusal, match="from 1 to 96"):
        Grid(200, 200, 96, stride)
