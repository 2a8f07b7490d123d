"""Reliability of probabilities, before and after calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.data import Reliability
from histoblend.report_page.figures.drawing import MUTED, PAPER, figure_block, key_of
from histoblend.report_page.figures.palette import mark


def calibration_figure(
    reliabilities: Sequence[Reliability], subject: str, outcome: str = "positive"
) -> FigureBlock:
    """Observed share of positives against predicted probability, and how many patches are predicted what.

    Args:
        reliabilities: one to three, of the same patches: as predicted first, then after calibration.
        subject: the experiment or blend whose probabilities these are.
        outcome: what the probability is of: patches that are "positive", or, of more than two classes, "rightly named".
    """

    def draw(figure: Figure, narrow: bool) -> None:
        shape = (2, 1) if narrow else (1, 2)
        ratios: dict[str, Any] = {"height_ratios": (2, 1)} if narrow else {}
        upper, lower = figure.subplots(*shape, **ratios)
        upper.plot((0, 1), (0, 1), color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        handles = [_line(upper, one, number) for number, one in enumerate(reliabilities)]
        for number, one in enumerate(reliabilities):
            _stems(lower, one, number)
        upper.set(
            xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel=f"share of {outcome} patches"
        )
        lower.set(xlim=(-0.02, 1.02), xlabel="predicted probability", ylabel="share of all patches")
        lower.set_ylim(bottom=0)
        lower.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        for axes in (upper, lower):
            axes.grid()
            axes.locator_params(nbins=5)
        key_of(handles, [_name(one) for one in reliabilities], figure, 1 if narrow else 2)

    caption = (
        f"Probabilities of {subject}. Left (on a phone: above), each mark is a group of patches of like predicted "
        f"probability: on the dotted diagonal they are as often {outcome} as predicted; below it the predictions are "
        "too high, above it too low. Right (below): how many patches are predicted what. ECE, the expected calibration "
        "error, is the mean distance of the marks from the diagonal, weighed by their patches."
    )
    heights = (400 + 19 * (len(reliabilities) > 2), 500 + 19 * len(reliabilities))
    return figure_block(
        f"Calibration of {subject}", (_alternative(reliabilities, subject, outcome), caption), heights, draw
    )


def _line(axes: Axes, one: Reliability, number: int) -> Any:
    look = mark(number)
    filled = np.asarray(one.counts) > 0
    return axes.plot(
        np.asarray(one.predicted)[filled],
        np.asarray(one.observed)[filled],
        color=look.colour,
        linestyle=look.dash,
        marker=look.marker,
        markersize=6,
        markerfacecolor=PAPER if number == 0 and len(one.counts) else look.colour,
    )[0]


def _stems(axes: Axes, one: Reliability, number: int) -> None:
    look, counts = mark(number), np.asarray(one.counts)
    filled = counts > 0
    places = (
        np.asarray(one.predicted)[filled] + 0.008 * number
    )  # side by side where both stand at one probability
    heights = counts[filled] / counts.sum()
    axes.vlines(places, 0, heights, color=look.colour, linewidth=3)
    face = PAPER if number == 0 else look.colour
    axes.plot(places, heights, look.marker, color=look.colour, markerfacecolor=face, markersize=5)


def _name(one: Reliability) -> str:
    return one.name if one.error is None else f"{one.name} (ECE {one.error:.4f})"


def _alternative(reliabilities: Sequence[Reliability], subject: str, outcome: str) -> str:
    return f"Reliability of {subject}: {'; '.join(_told(one, outcome) for one in reliabilities)}."


def _told(one: Reliability, outcome: str) -> str:
    gaps = np.where(np.asarray(one.counts) > 0, np.asarray(one.observed) - np.asarray(one.predicted), 0.0)
    if not np.any(np.asarray(one.counts) > 0):
        return f"{_name(one)}, no patches"
    worst = int(np.argmax(np.abs(gaps)))
    return (
        f"{_name(one)}, furthest off where {one.predicted[worst]:.2f} is predicted "
        f"and {one.observed[worst]:.2f} are {outcome}"
    )
