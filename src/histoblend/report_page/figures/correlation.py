"""How alike the members of a blend are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.drawing import INK, figure_block, shortened
from histoblend.report_page.figures.palette import mark

MANY = 14  # members from which on the cells hold no numbers
STRONGEST = 0.55  # opacity of the highest correlation: the numbers stay readable on it


def correlation_figure(names: Sequence[str], spearman: np.ndarray) -> FigureBlock:
    """Spearman rank correlations (members, members) as a heat map; its lower half, with numbers for few members."""
    count = len(names)
    spearman = np.asarray(spearman, dtype=float)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        _cells(axes, spearman, count <= (7 if narrow else MANY))
        letters = 12 if narrow else 30
        labels = [f"{number} {name}" for number, name in enumerate(shortened(names, letters), 1)]
        axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), box_aspect=1)
        axes.set_yticks(range(count), labels, color=INK)
        axes.set_xticks(range(count), [str(number + 1) for number in range(count)], color=INK)
        axes.set_anchor("W")
        axes.tick_params(length=0)
        if count > MANY:
            axes.tick_params(labelsize=10)
        for spine in axes.spines.values():
            spine.set_visible(False)

    caption = (
        "Rank correlation (Spearman) of the members' out-of-fold scores; columns have the numbers of the rows. "
        "The stronger the tint, the more alike two members rank the patches: a blend gains most from good members "
        "that are less alike. The tints run from the lowest correlation here to 1."
    )
    longest = max(map(len, names)) + 3
    sides = min(56.0 * count, 690 - 6.5 * min(longest, 33)), 315 - 7.5 * min(longest, 15)
    texts = _alternative(names, spearman), caption
    block = figure_block("Correlation of the members", texts, (sides[0] + 36, sides[1] + 36), draw)
    return block if count <= MANY else replace(block, narrow="")  # too fine for a phone: there it is scrolled


def _cells(axes: Axes, spearman: np.ndarray, numbered: bool) -> None:
    lowest = _lowest(spearman)
    for row, column in np.argwhere(np.tri(len(spearman))).tolist():
        value = spearman[row, column]
        if not np.isfinite(value):
            continue
        strength = 0.06 + (STRONGEST - 0.06) * (value - lowest) / max(1 - lowest, 1e-9)
        corner = (column - 0.48, row - 0.48)
        tint = float(np.clip(strength, 0, STRONGEST))
        axes.add_patch(Rectangle(corner, 0.96, 0.96, color=mark(0).colour, alpha=tint, linewidth=0))
        if numbered:
            axes.text(column, row, f"{value:.2f}", ha="center", va="center")


def _lowest(spearman: np.ndarray) -> float:
    return float(np.nanmin(spearman, initial=1.0))


def _alternative(names: Sequence[str], spearman: np.ndarray) -> str:
    if len(names) < 2:
        return f"Rank correlation of one member, {names[0]}, with itself: 1."
    pairs = [
        (spearman[row, column], names[column], names[row])
        for row, column in np.argwhere(np.tri(len(names), k=-1)).tolist()
        if np.isfinite(spearman[row, column])
    ]
    if not pairs:
        return f"Rank correlations of {len(names)} members: none could be computed."
    least, most = min(pairs), max(pairs)
    if len(pairs) == 1:
        return f"Rank correlation of {least[1]} and {least[2]}: {least[0]:.3f}."
    return (
        f"Rank correlations of {len(names)} members, from {least[0]:.3f} ({least[1]} and {least[2]}) "
        f"to {most[0]:.3f} ({most[1]} and {most[2]})."
    )
