"""A picture, its map of probabilities and both together, as one PNG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from histoblend.data.stain import UInt8Array
from histoblend.inference.tiles import Grid
from histoblend.workspace import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 1400  # longest side of a shown picture, pixels: more is lost in the PNG
COLOURS = "viridis"  # equal steps of probability look equal, in print and to colour-blind eyes
CLEAR, COVERED = 0.15, 0.6  # opacity of the map over the picture at probability 0 and 1
PANEL = 5.0  # longer side of a panel, inches
DOTS = 150  # an inch


@dataclass(frozen=True)
class MapTitle:
    """What stands above and below the panels.

    Attributes:
        picture: name of the picture.
        shown: what the probability is of: a class.
        model: name of the model, and how it went over the picture.
        synthetic: the model has learned from drawn patches.
    """

    picture: str
    shown: str
    model: str
    synthetic: bool = False

    @property
    def heading(self) -> str:
        """First line."""
        mark = "  (model trained on SYNTHETIC patches)" if self.synthetic else ""
        return f"{self.picture}: probability of {self.shown}{mark}"


def map_figure(picture: UInt8Array, probabilities: np.ndarray, grid: Grid, title: MapTitle) -> Figure:
    """Three panels in pixels of the picture: itself, the map, the map over it; one colour bar from 0 to 1.

    Args:
        picture: uint8 (h, w, 3), RGB.
        probabilities: float (grid.rows, grid.columns), each shown as the cell it was given for.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    wide = grid.width > 1.6 * grid.height  # wide pictures lie below each other
    width, height = _panel_size(grid)
    size = (width + 1.5, 3 * height + 1.7) if wide else (3 * width + 2.4, height + 0.9)
    figure = Figure(
        figsize=(max(size[0], 6.0), size[1]), dpi=DOTS, layout=ConstrainedLayoutEngine(h_pad=0.08)
    )
    axes = figure.subplots(*((3, 1) if wide else (1, 3)), squeeze=False).ravel()
    grey = _shown(picture).mean(axis=2).astype(np.uint8)
    _draw_picture(axes[0], _shown(picture), grid)
    drawn = _draw_map(axes[1], probabilities, grid, 1.0)
    _draw_picture(axes[2], np.repeat(grey[..., None], 3, axis=2), grid)
    _draw_map(axes[2], probabilities, grid, CLEAR + (COVERED - CLEAR) * probabilities)
    for one, name in zip(axes, ("picture", "map", "map over picture"), strict=True):
        one.set_title(name, fontsize=9)
    figure.colorbar(drawn, ax=list(axes), label=f"probability of {title.shown}", pad=0.01, aspect=30)
    inches = figure.get_figwidth()
    figure.suptitle(fill(title.heading, int(11 * inches)), fontsize=10)  # letters that fit an inch
    figure.supxlabel(fill(_scale(grid, title), int(16 * inches)), fontsize=7)
    return figure


def write_probability_map(
    path: Path, picture: UInt8Array, probabilities: np.ndarray, grid: Grid, title: MapTitle
) -> None:
    """Draw `map_figure` as PNG to `path`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = map_figure(picture, probabilities, grid, title)
    with atomic_write(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def _panel_size(grid: Grid) -> tuple[float, float]:
    longer = max(grid.width, grid.height)
    return max(PANEL * grid.width / longer, 1.5), max(PANEL * grid.height / longer, 1.0)


def _scale(grid: Grid, title: MapTitle) -> str:
    return (
        f"{title.model}. Axes in pixels: {grid.width} x {grid.height}; a cell is {grid.stride} x {grid.stride}, "
        f"judged by the {grid.side} x {grid.side} around it; over the picture low ones are "
        "clearer. A model's estimate, no diagnosis."
    )


def _shown(picture: UInt8Array) -> UInt8Array:
    """The picture, averaged down where it is larger than a panel can show."""
    factor = max(picture.shape[:2]) / SHOWN
    if factor <= 1:
        return picture
    size = (max(round(picture.shape[1] / factor), 1), max(round(picture.shape[0] / factor), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _draw_picture(axes: Axes, shown: UInt8Array, grid: Grid) -> None:
    axes.imshow(shown, extent=(0, grid.width, grid.height, 0), interpolation="nearest")
    _frame(axes, grid)


def _draw_map(axes: Axes, probabilities: np.ndarray, grid: Grid, opacity: float | np.ndarray) -> Any:
    bounds = (0, grid.columns * grid.stride, grid.rows * grid.stride, 0)
    drawn = axes.imshow(
        probabilities, cmap=COLOURS, vmin=0, vmax=1, alpha=opacity, extent=bounds, interpolation="nearest"
    )
    _frame(axes, grid)
    return drawn


def _frame(axes: Axes, grid: Grid) -> None:
    """Only what lies in the picture: the last cells may reach beyond it."""
    axes.set(xlim=(0, grid.width), ylim=(grid.height, 0))
    axes.tick_params(labelsize=7)
