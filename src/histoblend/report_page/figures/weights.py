"""The weights of a blend, by rule and member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.data import RuleWeights
from histoblend.report_page.figures.drawing import INK, figure_block, named_rows
from histoblend.report_page.figures.palette import mark

SHOWN = 15  # members: those with the greatest weight by any rule
COLUMNS = 3  # rules side by side on a desktop
SPOKEN = 8  # rules that the alternative text reads out


def weights_figure(rules: Sequence[RuleWeights]) -> FigureBlock:
    """Weights by rule and member; small marks show the weights learnt without each fold: how firm they are."""
    members = _members(rules)
    shown = members[:SHOWN]
    lines = -(-len(rules) // COLUMNS)

    def draw(figure: Figure, narrow: bool) -> None:
        columns = 1 if narrow else min(COLUMNS, len(rules))
        grid = figure.subplots(-(-len(rules) // columns), columns, squeeze=False, sharex=True)
        for number, axes in enumerate(grid.ravel()):
            if number >= len(rules):
                axes.set_visible(False)
                continue
            _panel(axes, rules[number], shown, number % columns == 0, narrow)

    caption = "A bar is a member's weight, learnt on all folds."
    if any(rule.by_fold for rule in rules):
        caption += (
            " The small circles are its weights when each fold in turn is left out of the learning: circles far "
            "apart say that the rule follows chance."
        )
    if len(members) > SHOWN:
        caption += f" Shown are the {SHOWN} members with the greatest weights of {len(members)}."
    heights = (lines * (72 + 26 * len(shown)), len(rules) * (72 + 42 * len(shown)))
    return figure_block("Weights of the blends", (_alternative(rules), caption), heights, draw)


def _members(rules: Sequence[RuleWeights]) -> list[str]:
    """All members, the greatest weight by any rule first."""
    greatest: dict[str, float] = {}
    for rule in rules:
        for name, weight in rule.weights.items():
            greatest[name] = max(abs(weight), greatest.get(name, 0.0))
    return sorted(greatest, key=lambda name: (-greatest[name], name))


def _panel(axes: Axes, rule: RuleWeights, members: Sequence[str], named: bool, narrow: bool) -> None:
    named_rows(axes, members if named else [""] * len(members), narrow)
    look = mark(1 if rule.chosen else 0)
    places = np.arange(len(members))
    weights = [rule.weights.get(name, 0.0) for name in members]
    axes.barh(places, weights, height=0.3 if narrow else 0.5, color=look.colour, alpha=0.45)
    axes.axvline(0, color=INK, linewidth=0.8)
    for learnt in rule.by_fold.values():
        values = [learnt.get(name, 0.0) for name in members]
        axes.plot(
            values, places, "o", color=look.colour, markerfacecolor="none", markersize=5, linestyle="none"
        )
    title = f"{rule.rule} (chosen)" if rule.chosen else rule.rule
    axes.set_title(title, fontweight="bold" if rule.chosen else "normal", pad=8)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(labelbottom=True)


def _alternative(rules: Sequence[RuleWeights]) -> str:
    more = f"; and {len(rules) - SPOKEN} more rules" if len(rules) > SPOKEN else ""
    return f"Blend weights: {'; '.join(_told(rule) for rule in rules[:SPOKEN])}{more}."


def _told(rule: RuleWeights) -> str:
    greatest = sorted(rule.weights.items(), key=lambda item: -abs(item[1]))[:3]
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in greatest)
    return f"{rule.rule}{' (chosen)' if rule.chosen else ''} {weights}{_spread(rule)}"


def _spread(rule: RuleWeights) -> str:
    """How far the weight of one member moves, at most, from fold to fold."""
    if len(rule.by_fold) < 2:
        return ""
    table = np.array([[learnt.get(name, 0.0) for name in rule.weights] for learnt in rule.by_fold.values()])
    return f" (moving by up to {np.ptp(table, axis=0).max():.3f} between folds)"
