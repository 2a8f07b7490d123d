"""Cross-validation against the leaderboard: all that was scored, a point each, and the line where both agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from histoblend.report_page.blocks import FigureBlock
from histoblend.report_page.figures.data import Answered
from histoblend.report_page.figures.drawing import (
    GROUND,
    MUTED,
    PAPER,
    figure_block,
    key_of,
    shortened,
    spoken,
)
from histoblend.report_page.figures.palette import Mark, mark

LETTER = 6.9  # CSS pixels a letter, on average
OFFSETS = ((9, 0, "left"), (-9, 0, "right"), (0, 13, "center"), (0, -13, "center"))
BOARDS = ("public", "private")


def agreement_figure(points: Sequence[Answered]) -> FigureBlock:
    """AUC here (with its interval) against both scores; names stand where there is room for them."""
    boards = [board for board in BOARDS if any(np.isfinite(getattr(one, board)) for one in points)]

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        looks = {board: mark(number) for number, board in enumerate(BOARDS)}
        for board in boards:
            for one in points:
                _point(axes, one, getattr(one, board), looks[board])
        _limits(axes, points, boards)
        axes.axline((0.5, 0.5), slope=1, color=MUTED, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
        axes.set(xlabel="AUC here, out of fold", ylabel="leaderboard")
        axes.locator_params(axis="x", nbins=4 if narrow else 7)
        axes.locator_params(axis="y", nbins=6)
        axes.grid()
        handles = [_handle(looks[board]) for board in boards]
        key_of(handles, [f"{board} score" for board in boards], figure, 2)
        figure.draw_without_rendering()  # places are known from here on
        _name_all(axes, points, boards, narrow)

    texts = _alternative(points, boards), _caption(points, boards)
    return figure_block("Cross-validation and leaderboard", texts, (400, 360), draw)


def _point(axes: Axes, one: Answered, score: float, look: Mark) -> None:
    if not np.isfinite(score):
        return
    if np.isfinite([one.low, one.high]).all():
        axes.plot((one.low, one.high), (score, score), color=look.colour, linewidth=1, alpha=0.45, zorder=1.5)
    face = PAPER if one.apart else look.colour
    axes.plot(one.auc, score, look.marker, color=look.colour, markerfacecolor=face, markersize=7)


def _limits(axes: Axes, points: Sequence[Answered], boards: Sequence[str]) -> None:
    """Room for intervals, and for so much of the line of agreement as lies beside the points."""
    edges = [edge for one in points for edge in (one.auc, one.low, one.high) if np.isfinite(edge)]
    heights = [getattr(one, board) for one in points for board in boards]
    heights = [height for height in heights if np.isfinite(height)] + [one.auc for one in points]
    for low, high, limit in (
        (min(edges), max(edges), axes.set_xlim),
        (min(heights), max(heights), axes.set_ylim),
    ):
        room = max(high - low, 0.01) * 0.12
        limit(low - room, high + room)


def _handle(look: Mark) -> Line2D:
    return Line2D([], [], color=look.colour, marker=look.marker, markersize=7, linewidth=1)


def _name_all(axes: Axes, points: Sequence[Answered], boards: Sequence[str], narrow: bool) -> None:
    """Names beside their points, the best first; one that would cover another name or point is left to the table."""
    to_pixels = axes.transData.transform
    scores = {one.name: [getattr(one, board) for board in boards] for one in points}
    taken = [
        _box(to_pixels((one.auc, score)), 5, 5)
        for one in points
        for score in scores[one.name]
        if np.isfinite(score)
    ]
    inside = axes.get_window_extent()
    shown = shortened([one.name for one in points], 18 if narrow else 30)
    named = sorted(zip(shown, points, strict=True), key=lambda pair: -pair[1].auc)
    for name, one in named:
        score = next(score for score in scores[one.name] if np.isfinite(score))
        place = to_pixels((one.auc, score))
        for right, up, side in OFFSETS:
            box = _text_box(place, (right, up), side, name)
            if (
                inside.fully_contains(*box.min)
                and inside.fully_contains(*box.max)
                and not box.count_overlaps(taken)
            ):
                taken.append(box)
                _write(axes, name, (one.auc, score), (right, up), side)
                break


def _box(centre: Any, half_width: float, half_height: float) -> Bbox:
    x, y = centre
    return Bbox([(x - half_width, y - half_height), (x + half_width, y + half_height)])


def _text_box(place: Any, offset: tuple[float, float], side: str, name: str) -> Bbox:
    width = LETTER * len(name)
    shift = {"left": width / 2, "right": -width / 2, "center": 0.0}[side]
    return _box((place[0] + offset[0] + shift, place[1] + offset[1]), width / 2, 8)


def _write(axes: Axes, name: str, point: tuple[float, float], offset: tuple[float, float], side: str) -> None:
    axes.annotate(
        name,
        point,
        offset,
        textcoords="offset points",
        horizontalalignment=side,
        verticalalignment="center",
        bbox=GROUND,
    )


def _alternative(points: Sequence[Answered], boards: Sequence[str]) -> str:
    said = spoken([f"{one.name} {one.auc:.4f} here, {_told(one, boards)}" for one in points], 12)
    return f"AUC here and on the leaderboard, of {len(points)}: {said}."


def _told(one: Answered, boards: Sequence[str]) -> str:
    known = [(board, getattr(one, board)) for board in boards]
    return ", ".join(f"{board} {score:.4f}" for board, score in known if np.isfinite(score))


def _caption(points: Sequence[Answered], boards: Sequence[str]) -> str:
    above = sum(getattr(one, boards[0]) > one.auc for one in points)
    known = sum(np.isfinite(getattr(one, boards[0])) for one in points)
    lines = [
        "The last scored submission of each name by its AUC here; the bar is the 95 % interval of that. On the "
        f"dashed line both would be the same: {above} of {known} lie above it by the {boards[0]} score."
    ]
    if any(one.apart for one in points):
        lines.append("Hollow: made on other data or folds, whose AUC here does not compare with the rest.")
    return " ".join(lines)
