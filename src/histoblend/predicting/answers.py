"""What a model says of one picture: one probability, or those of many tiles summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from histoblend.inference.predict import probabilities
from histoblend.inference.tiles import Grid


@dataclass(frozen=True)
class Answer:
    """A row of the table of predictions.

    Attributes:
        picture: its name.
        width, height: in pixels, as decoded; 0 where it could not be read.
        tiles: 1 for a picture taken as one patch; 0 where it could not be read.
        probability: of the highest tile.
        probability_of: the class it is the probability of: the second of two; of more, the one whose mean over
            the tiles is highest.
        mean: over the tiles.
        x, y: centre of the highest tile in pixels; None for a single patch.
        per_class: with more than two classes, the mean over the tiles of each class.
        map: path of the PNG; empty where there is none.
        learned: by what it shows to be a training patch, such as ``pixels of train/Car/1``; empty where by nothing.
        note: what was odd about the file and how it was brought to a patch.
        fault: why it could not be read.
    """

    picture: str
    width: int = 0
    height: int = 0
    tiles: int = 0
    probability: float | None = None
    probability_of: str = ""
    mean: float | None = None
    x: int | None = None
    y: int | None = None
    per_class: dict[str, float] = field(default_factory=dict)
    map: str = ""
    learned: str = ""
    note: str = ""
    fault: str = ""

    def row(self) -> dict[str, Any]:
        """The row, classes as columns of their own."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "per_class"}
        return content | {f"mean {name}": value for name, value in self.per_class.items()}


@dataclass(frozen=True)
class Scores:
    """Probabilities of all tiles of one picture, and the class they are told of.

    Attributes:
        all_classes: float64 (tiles, classes), rows sum to 1.
        shown: number of the class that is told.
        classes: names.
    """

    all_classes: np.ndarray
    shown: int
    classes: tuple[str, ...]

    @property
    def values(self) -> np.ndarray:
        """Probability (tiles,) of the class that is told."""
        return np.asarray(self.all_classes[:, self.shown])

    @property
    def name(self) -> str:
        """Name of the class that is told."""
        return self.classes[self.shown]


def scores_of(logits: np.ndarray, classes: tuple[str, ...]) -> Scores:
    """Probabilities of logits (tiles, outputs); one output is the logit of the second of two classes."""
    values = probabilities(logits)
    if values.shape[1] == 1:
        return Scores(np.hstack([1 - values, values]), 1, classes)
    return Scores(values, int(values.mean(axis=0).argmax()), classes)


def answer_of(picture: str, size: tuple[int, int], scores: Scores, grid: Grid | None) -> Answer:
    """Sum up the tiles of a picture of `size` = (height, width); `grid` is None for a single patch."""
    values = scores.values
    highest = int(values.argmax())
    x, y = _centre(grid, highest) if grid is not None else (None, None)
    several = len(scores.classes) > 2
    means = scores.all_classes.mean(axis=0)
    return Answer(
        picture=picture,
        width=size[1],
        height=size[0],
        tiles=len(values),
        probability=float(values[highest]),
        probability_of=scores.name,
        mean=float(values.mean()),
        x=x,
        y=y,
        per_class=dict(zip(scores.classes, means.tolist(), strict=True)) if several else {},
    )


def _centre(grid: Grid, number: int) -> tuple[int, int]:
    numbers = np.array([number])
    (top,), (left,) = grid.corners(numbers)
    (height,), (width,) = grid.cell_sizes(numbers)
    return int(left + width // 2), int(top + height // 2)


def answers_table(answers: Sequence[Answer]) -> pd.DataFrame:
    """The table of predictions; counts and pixels are whole numbers, empty where there are none."""
    table = pd.DataFrame([answer.row() for answer in answers])
    return table.astype(dict.fromkeys(("width", "height", "tiles", "x", "y"), "Int64"))


def tiles_table(scores: Scores, grid: Grid) -> pd.DataFrame:
    """x,y,width,height of each cell in pixels and its probability; of each class where there are more than two."""
    numbers = np.arange(grid.count)
    tops, lefts = grid.corners(numbers)
    heights, widths = grid.cell_sizes(numbers)
    table = pd.DataFrame({"x": lefts, "y": tops, "width": widths, "height": heights})
    if len(scores.classes) == 2:
        return table.assign(probability=scores.values)
    named = [f"probability {name}" for name in scores.classes]
    return table.join(pd.DataFrame(scores.all_classes, columns=named))
