"""A picture larger than a patch as patches: where they lie, cut out without ever padding the whole picture.

The picture is divided into cells of stride x stride pixels; each has one tile, a patch in whose middle the cell
lies. While the stride is at most the labelled centre of a patch (a third of its side), every pixel of the picture
lies in the labelled centre of the tile that speaks for it. Tiles that reach beyond the picture see it reflected at
its edges, as tissue that goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histoblend.errors import ConfigRefusal

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Grid:
    """The cells of a picture and the tiles around them, all in pixels.

    Attributes:
        height: of the picture.
        width: of the picture.
        side: of a tile: the patch that the network knows.
        stride: side of a cell, and distance between neighbouring tiles.
    """

    height: int
    width: int
    side: int
    stride: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.side:
            raise ConfigRefusal(
                f"A stride of {self.stride} pixels does not fit tiles of {self.side}.",
                f"a stride from 1 to {self.side}: beyond, pixels would be seen by no tile",
                f"leave --stride out (it is {default_stride(self.side)}), or choose one in that range.",
            )

    @property
    def rows(self) -> int:
        """Cells on the vertical axis."""
        return -(-self.height // self.stride)

    @property
    def columns(self) -> int:
        """Cells on the horizontal axis."""
        return -(-self.width // self.stride)

    @property
    def count(self) -> int:
        """Cells, and so tiles, in all."""
        return self.rows * self.columns

    @property
    def margin(self) -> int:
        """Pixels of a tile above (and to the left of) its cell."""
        return (self.side - self.stride) // 2

    def corners(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First row and first column of the cells of these numbers, counted row by row: int64, each (n,)."""
        return numbers // self.columns * self.stride, numbers % self.columns * self.stride

    def cell_sizes(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights and widths of the cells: the stride, less what lies beyond the picture; int64, each (n,)."""
        tops, lefts = self.corners(numbers)
        return np.minimum(self.stride, self.height - tops), np.minimum(self.stride, self.width - lefts)


def default_stride(side: int) -> int:
    """The labelled centre of a patch, a third of its side: the largest stride that leaves no pixel out."""
    return max(side // 3, 1)


def reflected(positions: np.ndarray, length: int) -> np.ndarray:
    """Indices into an axis of `length` pixels for any `positions` (int64), reflected at both ends, edges once.

    As ``numpy.pad(mode="reflect")``, however far outside.
    """
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * (length - 1)
    inside = positions % period
    return np.asarray(np.minimum(inside, period - inside))


def window(picture: UInt8Array, top: int, left: int, shape: tuple[int, int]) -> UInt8Array:
    """The part of `picture` (h, w, 3) from (top, left) on, of any `shape`; reflected where it lies outside."""
    rows = reflected(np.arange(top, top + shape[0]), picture.shape[0])
    columns = reflected(np.arange(left, left + shape[1]), picture.shape[1])
    return np.asarray(picture[rows[:, None], columns], np.uint8)


def cut_tiles(picture: UInt8Array, grid: Grid, numbers: np.ndarray) -> UInt8Array:
    """The tiles of these numbers: uint8 (n, side, side, 3)."""
    tops, lefts = grid.corners(numbers)
    offsets = np.arange(grid.side) - grid.margin
    rows = reflected(tops[:, None] + offsets, grid.height)
    columns = reflected(lefts[:, None] + offsets, grid.width)
    return np.asarray(picture[rows[:, :, None], columns[:, None, :]], np.uint8)


def tile_batches(picture: UInt8Array, grid: Grid, batch_size: int) -> Iterator[tuple[np.ndarray, UInt8Array]]:
    """Numbers (n,) and tiles (n, side, side, 3), row by row, at most `batch_size` in memory at a time."""
    for start in range(0, grid.count, batch_size):
        numbers = np.arange(start, min(start + batch_size, grid.count))
        yield numbers, cut_tiles(picture, grid, numbers)
