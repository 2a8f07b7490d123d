"""What every table of an output folder is held against while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from histoblend.artifacts.forms import RunNote
from histoblend.evaluation.metrics import Metrics
from histoblend.evaluation.uncertainty import Interval
from histoblend.workspace import Workspace


@dataclass(frozen=True)
class Shared:
    """What every table is held against, and the sentences gathered on the way."""

    workspace: Workspace
    run: RunNote
    folds: pd.DataFrame
    test_ids: pd.Series | None
    notes: list[str]

    @property
    def numbers(self) -> list[int]:
        """The folds of the split."""
        return sorted(int(number) for number in self.folds["fold"].unique())

    @property
    def ids(self) -> pd.Series:
        """Ids of the test patches; none where nothing has predicted them."""
        return pd.Series([], dtype=str) if self.test_ids is None else self.test_ids

    def rows(self, numbers: list[int]) -> pd.DataFrame:
        """The rows of some folds."""
        return self.folds[self.folds["fold"].isin(numbers)]


def stored_interval(metrics: Metrics) -> Interval:
    """The interval that was stored with the score; without bounds where none was."""
    stored: Mapping[str, Any] = metrics.interval or {}
    low, high, error = (
        float("nan") if stored.get(key) is None else float(stored[key])
        for key in ("low", "high", "standard_error")
    )
    return Interval(
        low=low,
        high=high,
        standard_error=error,
        level=float(stored.get("level", 0.95)),
        method=str(stored.get("method", "")),
        clusters=stored.get("clusters"),
        warning=stored.get("warning"),
    )
