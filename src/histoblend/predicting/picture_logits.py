"""Logits over a picture larger than a patch: tile by tile, or in one pass where the network allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from histoblend.data.views import apply_view, undo_view
from histoblend.errors import ConfigRefusal
from histoblend.inference.tiles import Grid, UInt8Array, tile_batches, window

if TYPE_CHECKING:
    import keras

    from histoblend.models.dense import Frame
    from histoblend.predicting.trained import TrainedModel

BATCH = 128  # tiles in memory at a time
BLOCK = 512  # pixels of a picture that one dense pass answers for, on one axis

Count = Callable[[int, int], None]
"""Told (done, all), in tiles."""
PictureLogits = Callable[[UInt8Array, Grid, Count], np.ndarray]
"""Picture uint8 (h, w, 3), its grid, a counter -> logits float64 (grid.count, outputs), cells row by row."""


def tile_by_tile(model: TrainedModel, batch_size: int = BATCH) -> PictureLogits:
    """Each tile as a patch of its own, exactly as in training: any network can do that."""

    def logits(picture: UInt8Array, grid: Grid, count: Count) -> np.ndarray:
        parts = []
        for numbers, tiles in tile_batches(picture, grid, batch_size):
            parts.append(model.logits(tiles))
            count(int(numbers[-1]) + 1, grid.count)
        return np.concatenate(parts)

    return logits


@dataclass
class InOnePass:
    """Fully convolutional: every network runs over blocks of the picture; windows see their real neighbours.

    Blocks overlap by the networks' reach, so that the result does not depend on where they begin or how large they
    are (but for rounding).
    """

    model: TrainedModel
    block: int = BLOCK
    _built: dict[tuple[int, int], keras.Model] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from histoblend.models.dense import dense_frame

        networks = [network for member in self.model.members for network in member.networks]
        self._frames: dict[int, Frame] = {id(network): dense_frame(network) for network in networks}

    @property
    def cell(self) -> int:
        """What a stride must be a multiple of, in pixels: the widest cell of the networks."""
        return int(np.lcm.reduce([frame.cell for frame in self._frames.values()]))

    def __call__(self, picture: UInt8Array, grid: Grid, count: Count) -> np.ndarray:
        """Logits float64 (grid.count, outputs).

        Raises:
            ConfigRefusal: the stride is no multiple of the networks' cells.
        """
        self._check(grid)
        width = max(self.block // grid.stride, 1)  # cells of a block on one axis
        result: np.ndarray | None = None
        for done, (top, left) in enumerate(_blocks(grid, width)):
            part = self._block_logits(picture, grid, (top, left), width)
            if result is None:
                result = np.empty((grid.rows, grid.columns, part.shape[-1]), np.float64)
            space = result[top : top + width, left : left + width]
            space[:] = part[: space.shape[0], : space.shape[1]]
            count(min((done + 1) * width * width, grid.count), grid.count)
        assert result is not None  # a picture has at least one cell
        return result.reshape(grid.count, -1)

    def _check(self, grid: Grid) -> None:
        if grid.stride % self.cell:
            raise ConfigRefusal(
                f"A stride of {grid.stride} pixels lies between the cells of {self.model.name}.",
                f"a multiple of {self.cell} pixels with --dense",
                f"--stride {max(grid.stride // self.cell, 1) * self.cell}, or leave --dense out.",
            )

    def _block_logits(
        self, picture: UInt8Array, grid: Grid, start: tuple[int, int], width: int
    ) -> np.ndarray:
        """Logits (width, width, outputs) of the cells from `start` = (row, column) on."""

        def logits_of(network: keras.Model, views: Sequence[int]) -> np.ndarray:
            frame = self._frames[id(network)]
            side = (width - 1) * grid.stride + grid.side + 2 * frame.reach
            top, left = (cell * grid.stride - grid.margin - frame.reach for cell in start)
            block = window(picture, top, left, (side, side))[None]
            dense = self._dense(network, side)
            turned = [
                undo_view(np.asarray(dense.predict_on_batch(apply_view(block, view)), np.float64), view)[0]
                for view in views
            ]
            first, step = frame.reach // frame.cell, grid.stride // frame.cell
            chosen = slice(first, first + (width - 1) * step + 1, step)
            return np.asarray(np.mean(turned, axis=0)[chosen, chosen])

        return self.model.mean(logits_of)

    def _dense(self, network: keras.Model, side: int) -> keras.Model:
        from histoblend.models.dense import dense_model

        key = (id(network), side)
        if key not in self._built:
            self._built[key] = dense_model(network, side)
        return self._built[key]


def _blocks(grid: Grid, width: int) -> Iterator[tuple[int, int]]:
    """First row and column of the blocks of width x width cells."""
    for top in range(0, grid.rows, width):
        for left in range(0, grid.columns, width):
            yield top, left
