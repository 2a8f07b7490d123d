"""The values of a submission as numbers, or as names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoblend.checking.sheet import as_number

NEARLY_ALL = 0.95
"""Share of patches with one and the same value from which little is left that could be ranked."""
TRUTHS = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Values:
    """The values of a submission.

    Attributes:
        ids: as they were meant, for messages.
        cells: as they stand.
        numbers: float64 (n,); NaN where there is no finite number.
        classes: names that may be submitted; empty where numbers are.
    """

    ids: list[str]
    cells: list[str]
    numbers: np.ndarray
    classes: tuple[str, ...]

    @property
    def finite(self) -> np.ndarray:
        """The numbers that are some."""
        return self.numbers[np.isfinite(self.numbers)]

    @property
    def names(self) -> list[str]:
        """The cells without spaces around them."""
        return [cell.strip() for cell in self.cells]


def read_values(ids: list[str], cells: Sequence[str], classes: tuple[str, ...]) -> Values:
    """Understand `cells` as numbers."""
    numbers = np.array([_number(cell) for cell in cells], np.float64)
    return Values(ids, list(cells), np.where(np.isfinite(numbers), numbers, np.nan), classes)


def _number(cell: str) -> float:
    """The number in a cell, True and False read as 1 and 0; NaN where there is none."""
    number = as_number(TRUTHS.get(cell.strip().lower(), cell))
    return np.nan if number is None else number
