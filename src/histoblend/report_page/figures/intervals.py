"""Numbers with their intervals, one row each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.data import Estimated
from histoblend.report_page.figures.drawing import (
    GROUND,
    INK,
    figure_block,
    named_rows,
    row_heights,
    shortened,
)
from histoblend.report_page.figures.palette import mark

SPOKEN = 12  # rows that the alternative text reads out


def interval_figure(
    rows: Sequence[Estimated], measure: str = "AUC", level: float = 0.95, reference: float | None = None
) -> FigureBlock:
    """Dots with bars, best first as given: a ranking, or gains with a line at `reference` (0: no gain).

    Args:
        rows: at least one; an interval may be missing, then the row has a dot only.
        measure: what the numbers are, for the axis and the texts ("AUC", "gain over the equal-weight mean").
        level: of the intervals.
        reference: where a dashed line stands.
    """
    signed = reference is not None

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        letters = 44 - max(len(_shown(row, signed)) for row in rows) if narrow else 24
        names = shortened([row.name for row in rows], letters)
        notes = [f" · {row.note}" if row.note and not narrow else "" for row in rows]
        named = [f"{name}{note}" for name, note in zip(names, notes, strict=True)]
        named_rows(axes, named, narrow, [row.chosen for row in rows])
        if reference is not None:
            axes.axvline(reference, color=INK, linestyle=(0, (4, 3)), linewidth=1)
        for place, row in enumerate(rows):
            _draw_row(axes, place, row)
            _write(axes, place, _shown(row, signed), narrow)
        axes.set_xlabel(measure)
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=4 if narrow else 8)

    texts = _alternative(rows, measure, level), _caption(rows, measure, level, reference)
    title = f"{measure} with {100 * level:g} % intervals"
    return figure_block(title, texts, row_heights(len(rows), 60, (30, 46)), draw)


def _draw_row(axes: Axes, place: int, row: Estimated) -> None:
    look = mark(1 if row.chosen else 0)
    ends = _ends(row)
    if ends:
        axes.plot(ends, (place, place), color=look.colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot(ends, (place, place), "|", color=look.colour, markersize=9, markeredgewidth=1.4)
    axes.plot(row.value, place, "D" if row.chosen else "o", color=look.colour, markersize=8)


def _write(axes: Axes, place: int, text: str, narrow: bool) -> None:
    """The row's number on its right, or above its right end on a phone."""
    axes.annotate(
        text,
        (1, place - 0.2 if narrow else place),
        (0, 0) if narrow else (10, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        horizontalalignment="right" if narrow else "left",
        verticalalignment="bottom" if narrow else "center",
        bbox=GROUND if narrow else None,
    )


def _ends(row: Estimated) -> tuple[float, float] | None:
    if row.low is None or row.high is None or not np.isfinite([row.low, row.high]).all():
        return None
    return row.low, row.high


def _shown(row: Estimated, signed: bool) -> str:
    ends = _ends(row)
    if signed:
        said = [_with_sign(value) for value in (row.value, *(ends or ()))]
        return f"{said[0]} ({said[1]} to {said[2]})" if ends else said[0]
    return f"{row.value:.4f}" + (f" ({ends[0]:.4f}–{ends[1]:.4f})" if ends else "")


def _with_sign(value: float) -> str:
    shown = f"{value:+.4f}"
    return shown[1:] if float(shown) == 0 else shown.replace("-", "−")


def _alternative(rows: Sequence[Estimated], measure: str, level: float) -> str:
    said = "; ".join(f"{row.name} {_told(row)}" for row in rows[:SPOKEN])
    more = (
        f"; {len(rows) - SPOKEN} more down to {min(r.value for r in rows):.4f}" if len(rows) > SPOKEN else ""
    )
    return f"{measure} of {len(rows)} with {100 * level:g} % intervals: {said}{more}."


def _told(row: Estimated) -> str:
    ends = _ends(row)
    return f"{row.value:.4f}" + (f" ({ends[0]:.4f} to {ends[1]:.4f})" if ends else " (no interval)")


def _caption(rows: Sequence[Estimated], measure: str, level: float, reference: float | None) -> str:
    lines = [
        f"The mark is the {measure}, the bar its {100 * level:g} % interval: the values that agree with the data."
    ]
    if reference is None and len(rows) > 1:
        lines.append("Overlap of these bars does not decide: the paired differences in the table do.")
    if reference is not None:
        lines.append(f"A bar that crosses the dashed line at {reference:g} does not rule that value out.")
    if any(row.chosen for row in rows):
        lines.append("The diamond is the chosen one.")
    if any(_ends(row) is None for row in rows):
        lines.append("A mark without a bar has no interval.")
    return " ".join(lines)
