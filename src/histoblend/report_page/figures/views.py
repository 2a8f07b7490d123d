"""What test-time augmentation gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.data import ViewGain
from histoblend.report_page.figures.drawing import PAPER, figure_block, key_of, named_rows, row_heights
from histoblend.report_page.figures.palette import mark

SPOKEN = 12  # experiments that the alternative text reads out


def tta_figure(gains: Sequence[ViewGain]) -> FigureBlock:
    """AUC from one view (hollow) and from all views (filled), joined, a line a fold, grouped by experiment."""
    groups = {
        name: sorted((gain for gain in gains if gain.name == name), key=lambda gain: gain.fold)
        for name in dict.fromkeys(gain.name for gain in gains)
    }
    most = max(map(len, groups.values()))

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        named_rows(axes, list(groups), narrow, lift=0.28)
        for place, group in enumerate(groups.values()):
            steps = np.linspace(-0.32 if narrow else -0.44, 0.44, len(group) + 2)[1:-1]
            for step, gain in zip(steps, group, strict=True):
                _draw_gain(axes, place + step, gain)
        look = mark(0)
        style: dict[str, Any] = {"color": look.colour, "linestyle": "none", "marker": "o", "markersize": 6}
        handles = [*axes.plot([], [], markerfacecolor=PAPER, **style), *axes.plot([], [], **style)]
        axes.set_xlabel("AUC")
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=4 if narrow else 8)
        key_of(handles, ["one view", "all views"], figure, 2)

    caption = (
        "A line is a fold (the lowest number on top): the hollow mark is its AUC from one view of each patch, the "
        "filled one from the mean over all views. A line that runs to the right is a gain by test-time augmentation, "
        "one that runs to the left, in the second colour, a loss."
    )
    heights = row_heights(len(groups), 90, (18 + 11 * most, 36 + 11 * most))
    return figure_block("AUC from one view and from all", (_alternative(groups), caption), heights, draw)


def _draw_gain(axes: Axes, height: float, gain: ViewGain) -> None:
    colour = mark(0 if gain.all_views >= gain.one_view else 1).colour
    axes.plot((gain.one_view, gain.all_views), (height, height), color=colour, linewidth=1.6)
    axes.plot(gain.one_view, height, "o", color=colour, markerfacecolor=PAPER, markersize=6)
    axes.plot(gain.all_views, height, "o", color=colour, markersize=6)


def _alternative(groups: dict[str, list[ViewGain]]) -> str:
    said = []
    for name, group in list(groups.items())[:SPOKEN]:
        steps = [gain.all_views - gain.one_view for gain in group]
        better = sum(step > 0 for step in steps)
        said.append(f"{name} {np.mean(steps):+.4f} on average, better in {better} of {len(steps)} folds")
    more = f"; and {len(groups) - SPOKEN} more" if len(groups) > SPOKEN else ""
    return f"Gain of AUC by test-time augmentation: {'; '.join(said)}{more}."
