"""How much the score differs from fold to fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.drawing import INK, figure_block, key_of, named_rows, row_heights
from histoblend.report_page.figures.palette import mark

SPOKEN = 12  # experiments that the alternative text reads out


def fold_dots_figure(auc_by_fold: Mapping[str, Mapping[int, float]]) -> FigureBlock:
    """AUC of every fold, a row an experiment (in the given order): name -> fold -> AUC; folds may be missing."""
    folds = sorted({fold for values in auc_by_fold.values() for fold in values})
    table = np.array([[values.get(fold, np.nan) for fold in folds] for values in auc_by_fold.values()])

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        named_rows(axes, list(auc_by_fold), narrow)
        places, handles = np.arange(len(table)), []
        for number, values in enumerate(table.T):
            look = mark(number)
            style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 7}
            axes.plot(values, places, linewidth=0.8, linestyle=look.dash, **style)
            handles += axes.plot([], [], linewidth=0.8, linestyle=look.dash, **style)
        means = np.nanmean(table, axis=1)
        handles += axes.plot(means, places, "|", color=INK, markersize=18, markeredgewidth=2)
        axes.set_xlabel("AUC")
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=4 if narrow else 8)
        key_of(handles, [*(f"fold {fold}" for fold in folds), "mean of folds"], figure, 3 if narrow else 6)

    caption = (
        "A mark is the AUC of one fold, the upright stroke the mean of the folds. A thin line joins the same fold: "
        "lines that keep their order from row to row say that a fold is hard or easy for every model. "
        "The spread between folds is mostly that of the slides; compare models within a fold."
    )
    heights = row_heights(len(table), 100 + 10 * (len(folds) > 5), (34, 48))
    return figure_block(
        "AUC by fold", (_alternative(auc_by_fold), caption), (heights[0], heights[1] + 30), draw
    )


def _alternative(auc_by_fold: Mapping[str, Mapping[int, float]]) -> str:
    rows = list(auc_by_fold.items())
    said = "; ".join(_told(name, values) for name, values in rows[:SPOKEN])
    more = f"; and {len(rows) - SPOKEN} more" if len(rows) > SPOKEN else ""
    return f"AUC by fold of {len(rows)}: {said}{more}."


def _told(name: str, values: Mapping[int, float]) -> str:
    lowest, highest = min(values, key=lambda fold: values[fold]), max(values, key=lambda fold: values[fold])
    if lowest == highest:
        return f"{name} {values[lowest]:.4f} (fold {lowest} only)"
    mean = np.mean(list(values.values()))
    span = f"{values[lowest]:.4f} (fold {lowest}) to {values[highest]:.4f} (fold {highest})"
    return f"{name} from {span}, mean {mean:.4f}"
