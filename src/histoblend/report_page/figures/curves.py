"""ROC and precision-recall curves of several experiments and blends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.data import Curve
from histoblend.report_page.figures.drawing import (
    MUTED,
    figure_block,
    key_of,
    shortened,
    spoken,
    thinned,
)
from histoblend.report_page.figures.palette import mark

TOLD_APART = 6  # curves that have a mark of their own
SPOKEN = 12  # curves that the alternative text reads out
CORNER = 0.25  # side of the enlarged part


def roc_figure(curves: Sequence[Curve]) -> FigureBlock:
    """True against false positive rate; the first curve leads and shows its band, those after the sixth are grey.

    A desktop also sees the corner of few false positives enlarged.
    """
    low = min(float(np.interp(0.03, curve.x, curve.y)) for curve in curves)

    def draw(figure: Figure, narrow: bool) -> None:
        panels = _panels(figure, curves, narrow, ("false positive rate", "true positive rate"))
        for axes in panels:
            axes.plot((0, 1), (0, 1), color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        for axes in panels[1:]:
            axes.set(xlim=(0, CORNER), ylim=(min(low, 0.7), 1))
            axes.set_title("enlarged: few false positives", color=MUTED)

    caption = (
        "Share of positive patches found (up) against the share of negative patches called positive (right), for every "
        "threshold. The nearer to the upper left corner, the better; the dotted diagonal is chance."
        + _band(curves)
    )
    return figure_block("ROC curves", (_alternative("ROC", "AUC", curves), caption), _heights(curves), draw)


def precision_recall_figure(curves: Sequence[Curve], prevalence: float) -> FigureBlock:
    """Precision against recall; as `roc_figure`, with the line of chance at `prevalence`, the share of positives.

    A desktop also sees the part of high recall enlarged.
    """
    least = [float(np.nanmin(curve.y[curve.x >= 1 - CORNER], initial=1)) for curve in curves]
    low = max(0.0, np.floor(10 * min(*least, 0.9)) / 10)

    def draw(figure: Figure, narrow: bool) -> None:
        panels = _panels(figure, curves, narrow, ("recall", "precision"))
        for axes in panels:
            axes.axhline(prevalence, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        for axes in panels[1:]:
            axes.set(xlim=(1 - CORNER, 1), ylim=(low, 1))
            axes.set_title("enlarged: high recall", color=MUTED)

    alternative = _alternative("Precision-recall", "average precision", curves)
    caption = (
        "Of the patches called positive, the share that is (up), against the share of positive patches found (right). "
        f"The nearer to the upper right corner, the better; the dotted line at {prevalence:.3f}, the share of positive "
        "patches, is chance." + _band(curves)
    )
    return figure_block("Precision-recall curves", (alternative, caption), _heights(curves), draw)


def _panels(figure: Figure, curves: Sequence[Curve], narrow: bool, labels: tuple[str, str]) -> list[Axes]:
    """The whole, and on a desktop a part beside it; the legend below."""
    panels = list(figure.subplots(1, 1 if narrow else 2, squeeze=False)[0])
    for axes in panels:
        handles = _lines(axes, curves)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=labels[0], ylabel=labels[1], box_aspect=1)
        axes.locator_params(nbins=5)
        axes.grid()
    named = shortened([curve.name for curve in curves[:TOLD_APART]], 27)
    names = [_name(name, curve) for name, curve in zip(named, curves, strict=False)]
    if len(curves) > TOLD_APART:
        names.append(f"{len(curves) - TOLD_APART} more")
    key_of(handles, names, figure, 1 if narrow else 2, 36)
    return panels


def _lines(axes: Axes, curves: Sequence[Curve]) -> list[Any]:
    """Draw from the last to the first, so that the leading curve lies on top; the legend's handles."""
    handles: list[Any] = []
    for curve in reversed(curves[TOLD_APART:]):
        grey = axes.plot(*thinned(curve.x, curve.y), color=MUTED, alpha=0.4, linewidth=0.8)
        handles = grey
    for number in reversed(range(min(len(curves), TOLD_APART))):
        curve, look = curves[number], mark(number)
        width = 2.4 if number == 0 else 1.4
        handles = (
            axes.plot(*thinned(curve.x, curve.y), color=look.colour, ls=look.dash, linewidth=width) + handles
        )
    leading = curves[0]
    if leading.low is not None and leading.high is not None:
        places = leading.x if leading.grid is None else leading.grid
        band = thinned(places, leading.low, leading.high)
        axes.fill_between(band[0], band[1], band[2], color=mark(0).colour, alpha=0.16, linewidth=0)
    return handles


def _name(name: str, curve: Curve) -> str:
    return name if curve.area is None else f"{name}  {curve.area:.4f}"


def _heights(curves: Sequence[Curve]) -> tuple[float, float]:
    named = min(len(curves), TOLD_APART + 1)
    return 362 + 19 * -(-named // 2), 326 + 19 * named


def _band(curves: Sequence[Curve]) -> str:
    if curves[0].low is None:
        return ""
    return f" The band is the 95 % interval of {curves[0].name}."


def _alternative(kind: str, measure: str, curves: Sequence[Curve]) -> str:
    said = [f"{one.name}{'' if one.area is None else f' {one.area:.4f}'}" for one in curves]
    noun = "curve" if len(curves) == 1 else "curves"
    return f"{kind} {noun} of {len(curves)}, {measure}: {spoken(said, SPOKEN)}."
