"""A matplotlib figure as a small SVG that follows the page: its colours, its font, its width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.cleaning import cleaned
from histoblend.report_page.figures.palette import placeholder

WIDTHS = (720, 328)  # CSS pixels: beside a table of contents; on a phone of 360
POINTS = 300  # of a line: more cannot be told apart at these widths
INK, MUTED, RULE, PAPER = (placeholder(name) for name in ("ink", "muted", "rule", "paper"))
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "histoblend",
    "text.parse_math": False,  # a name may hold dollar signs
    "font.family": "DejaVu Sans",  # for measuring; the page's own font is drawn
    "font.size": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.6,
}
GROUND = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.5}  # below words on lines

Draw = Callable[[Figure, bool], None]


def figure_block(title: str, texts: tuple[str, str], heights: tuple[float, float], draw: Draw) -> FigureBlock:
    """Draw a figure twice, for a desktop and for a phone.

    Args:
        title: a few words, for those who hear the page.
        texts: alternative text and caption.
        heights: in CSS pixels, wide and narrow.
        draw: called with an empty figure and whether it is the narrow one.
    """
    alternative, caption = texts
    wide, narrow = (
        _drawn(title, alternative, (width, height), draw)
        for width, height in zip(WIDTHS, heights, strict=True)
    )
    return FigureBlock(wide, alternative, caption, narrow)


def thinned(x: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """At most `POINTS` of the points, evenly spread by number, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(POINTS, len(x))).round().astype(int))
    return tuple(np.asarray(one)[chosen] for one in (x, *others))


def shortened(names: Sequence[str], letters: int) -> list[str]:
    """Names of at most so many letters; what is left out is chosen so that they stay different, near the middle."""
    heads = sorted(range(letters), key=lambda head: abs(head - (letters - 1) // 2))
    tries = ([_cut(name, letters, head) for name in names] for head in heads)
    return max(tries, key=lambda shown: len(set(shown)))  # of equals the first: nearest to the middle


def _cut(name: str, letters: int, head: int) -> str:
    return name if len(name) <= letters else f"{name[:head]}…{name[len(name) - (letters - 1 - head) :]}"


def key_of(
    handles: Sequence[Any], labels: Sequence[str], figure: Figure, columns: int, letters: int = 44
) -> None:
    """The legend, below the plots; the space of no width is there as matplotlib drops names that begin with "_"."""
    figure.legend(
        handles,
        [f"\u200b{label}" for label in shortened(labels, letters)],
        loc="outside lower left",
        ncols=min(columns, len(labels)),
        borderaxespad=0.2,
        columnspacing=1.4,
    )


def named_rows(
    axes: Axes, names: Sequence[str], narrow: bool, bold: Sequence[bool] = (), lift: float = 0.2
) -> None:
    """Axes for a row a name, from the top down: the name on the left, or above its row on a phone.

    `lift` is how far above the middle of its row a name ends on a phone, in rows.
    """
    axes.set_ylim(len(names) - 0.5, -0.5 if not narrow else -0.7)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    for place, name in enumerate(shortened(names, 26 if narrow else 36)):
        axes.annotate(
            name,
            (0, place - lift if narrow else place),
            (0, 0) if narrow else (-10, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            horizontalalignment="left" if narrow else "right",
            verticalalignment="bottom" if narrow else "center",
            fontweight="bold" if bold and bold[place] else "normal",
            bbox=GROUND if narrow else None,
        )


def row_heights(rows: int, frame: float, row: tuple[float, float]) -> tuple[float, float]:
    """Heights of a figure of rows, wide and narrow: its frame and so many pixels a row."""
    return frame + rows * row[0], frame + rows * row[1]


def spoken(names: Sequence[str], most: int = 6) -> str:
    """Names as a list in words; beyond `most`, how many more."""
    shown, left = list(names[:most]), len(names) - most
    if left > 0:
        return f"{', '.join(shown)} and {left} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _drawn(title: str, alternative: str, size: tuple[float, float], draw: Draw) -> str:
    with rc_context(STYLE):
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72, layout="constrained")
        draw(figure, size[0] == WIDTHS[1])
        buffer = StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return cleaned(buffer.getvalue(), title, alternative, size)
