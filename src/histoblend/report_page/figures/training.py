"""The course of training: loss, score and learning rate by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.drawing import MUTED, figure_block, key_of, shortened, thinned
from histoblend.report_page.figures.palette import mark

SCORES = ("inner_auc", "accuracy")  # the first that stands in a history is shown
WORDS = {
    "loss": "loss",
    "inner_auc": "AUC, inner split",
    "accuracy": "accuracy",
    "learning_rate": "learning rate",
}
SPOKEN = 12  # experiments that the alternative text reads out

Histories = Mapping[int, pd.DataFrame]


def training_figure(histories: Mapping[str, Histories]) -> FigureBlock:
    """A row of panels an experiment (loss, score, learning rate), a line a fold: name -> fold -> history.csv.

    Of `history.csv` the columns epoch, loss, inner_auc or accuracy, and learning_rate are used, where present.
    """
    shown = shortened(list(histories), 36)
    folds = sorted({fold for runs in histories.values() for fold in runs})

    def draw(figure: Figure, narrow: bool) -> None:
        grid = figure.subplots(len(histories), 2 if narrow else 3, squeeze=False)
        for row, (name, runs) in zip(grid, zip(shown, histories.values(), strict=True), strict=True):
            columns = _columns(runs)
            for axes, column in zip(row, columns, strict=False):
                _panel(axes, runs, column, folds)
            for axes in row[len(columns) :]:
                axes.set_visible(False)
            row[0].annotate(
                name,
                (0, 1),
                (0, 26),
                xycoords="axes fraction",
                textcoords="offset points",
                weight="bold",
            )
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        looks = [mark(number) for number in range(len(folds))]
        handles = [Line2D([], [], color=look.colour, linestyle=look.dash) for look in looks]
        key_of(handles, [f"fold {fold}" for fold in folds], figure, 3 if narrow else 6)

    caption = (
        "A line is a fold. Loss and accuracy are those of the training patches as the network sees them, augmented: "
        "they say whether training went well, not how good the model is."
    )
    heights = (50 + 180 * len(histories), 60 + 170 * len(histories))
    return figure_block("Training", (_alternative(histories), caption), heights, draw)


def _columns(runs: Histories) -> list[str]:
    """Loss, the score that is there, learning rate."""
    present = {column for frame in runs.values() for column in frame.columns}
    score = next((name for name in SCORES if name in present), None)
    return [name for name in ("loss", score, "learning_rate") if name is not None and name in present]


def _panel(axes: Axes, runs: Histories, column: str, folds: Sequence[int]) -> None:
    drawn: list[list[Any]] = []
    for fold, frame in runs.items():
        if column not in frame:
            continue
        look = mark(folds.index(fold))
        line = [frame["epoch"].tolist(), frame[column].tolist()]
        if line not in drawn:  # a learning rate common to all folds is one line
            axes.plot(*thinned(*line), color=look.colour, linestyle=look.dash, linewidth=1.3, **_dot(frame))
            drawn.append(line)
    axes.set_title(WORDS[column], color=MUTED)
    axes.grid()
    axes.margins(x=0.02)
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.locator_params(axis="y", nbins=4)
    if column == "learning_rate":
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _dot(frame: pd.DataFrame) -> dict[str, Any]:
    """A single epoch makes no line."""
    return {"marker": "o", "markersize": 4} if len(frame) == 1 else {}


def _alternative(histories: Mapping[str, Histories]) -> str:
    rows = list(histories.items())
    more = f"; and {len(rows) - SPOKEN} more" if len(rows) > SPOKEN else ""
    return f"Course of training: {'; '.join(_told(name, runs) for name, runs in rows[:SPOKEN])}{more}."


def _told(name: str, runs: Histories) -> str:
    epochs = sorted({len(frame) for frame in runs.values()})
    spans = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    first = sum(frame["loss"].iloc[0] for frame in runs.values()) / len(runs)
    last = sum(frame["loss"].iloc[-1] for frame in runs.values()) / len(runs)
    return f"{name} {spans} epochs, loss from {first:.3f} to {last:.3f} (mean of {len(runs)} folds)"
