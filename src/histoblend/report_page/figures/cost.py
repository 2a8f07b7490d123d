"""What the score of each experiment cost."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.data import Cost
from histoblend.report_page.figures.drawing import PAPER, figure_block, shortened, spoken
from histoblend.report_page.figures.palette import mark

SPREAD = 8  # slowest over fastest from which time is shown logarithmically


def cost_figure(costs: Sequence[Cost]) -> FigureBlock:
    """AUC against minutes, a point an experiment; those are named that nothing beats in both."""
    best = _unbeaten(costs)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        look = mark(0)
        for cost in costs:
            face = look.colour if cost in best else PAPER
            axes.plot(cost.minutes, cost.auc, "o", color=look.colour, markerfacecolor=face, markersize=7)
        _time_axis(axes, costs)
        axes.margins(x=0.14, y=0.16)
        names = shortened([cost.name for cost in best], 20 if narrow else 34)
        for number, (name, cost) in enumerate(zip(names, best, strict=True)):
            _name(axes, name, cost, number % 2 == 0)
        axes.set(xlabel="minutes, all folds", ylabel="AUC")
        axes.locator_params(axis="y", nbins=5)
        axes.grid()

    caption = (
        "AUC against the time that training and prediction took. Filled and named: no other experiment is both faster "
        "and better. Times compare only where they come from one machine."
    )
    return figure_block("AUC and time", (_alternative(costs, best), caption), (340, 300), draw)


def _unbeaten(costs: Sequence[Cost]) -> list[Cost]:
    """From the fastest to the slowest, those better than all that are faster."""
    best: list[Cost] = []
    for cost in sorted(costs, key=lambda one: (one.minutes, -one.auc)):
        if not best or cost.auc > best[-1].auc:
            best.append(cost)
    return best


def _time_axis(axes: Axes, costs: Sequence[Cost]) -> None:
    minutes = [cost.minutes for cost in costs]
    if min(minutes) > 0 and max(minutes) / min(minutes) > SPREAD:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())


def _name(axes: Axes, name: str, cost: Cost, up: bool) -> None:
    """The name above or below its point, inside the picture: to the side where there is more room."""
    left, right = axes.get_xlim()
    scale = axes.transData.transform
    share = (scale((cost.minutes, cost.auc))[0] - scale((left, 0))[0]) / (
        scale((right, 0))[0] - scale((left, 0))[0]
    )
    side = "left" if share < 0.35 else "right" if share > 0.65 else "center"
    axes.annotate(
        name,
        (cost.minutes, cost.auc),
        (0, 8 if up else -8),
        textcoords="offset points",
        horizontalalignment=side,
        verticalalignment="bottom" if up else "top",
    )


def _alternative(costs: Sequence[Cost], best: Sequence[Cost]) -> str:
    said = spoken([f"{cost.name} {cost.auc:.4f} in {cost.minutes:.1f} minutes" for cost in best], 12)
    return f"AUC and time of {len(costs)}. Nothing faster is as good as: {said}."
