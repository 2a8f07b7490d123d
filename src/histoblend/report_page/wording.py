"""Numbers as the report writes them, and cells that sort by them."""

from __future__ import annotations

import math

import numpy as np

from histoblend.evaluation.uncertainty import Interval
from histoblend.report_page.blocks import Cell

SPACE = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line

SEEN = 1e-4  # the last digit that is shown of a score


def score(value: float | None) -> str:
    """``0.9181``; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def gain(value: float | None) -> str:
    """``+0.0057``, ``−0.0012`` or ``0.0000``; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    return "0.0000" if abs(value) < SEEN / 2 else f"{value:+.4f}".replace("-", "−")


def between(low: float, high: float, digits: int = 3) -> str:
    """``0.886 to 0.950``; a dash where the bounds are unknown."""
    if math.isnan(low) or math.isnan(high):
        return "–"
    shown = (f"{edge:.{digits}f}" for edge in (low, high))
    return " to ".join(one.replace("-", "" if float(one) == 0 else "−") for one in shown)


def share(value: float | None, digits: int = 1) -> str:
    """``12.5 %``; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f}{SPACE}%"


def in_words(interval: Interval) -> str:
    """``95 % interval 0.886 to 0.950, by slide bootstrap over 20 clusters``; what is unknown is left out."""
    if math.isnan(interval.low):
        return "no interval could be had"
    method = f", by {interval.method}" if interval.method else ""
    over = f" over {interval.clusters:,} clusters" if interval.clusters else ""
    return f"{share(interval.level, 0)} interval {between(interval.low, interval.high)}{method}{over}"


def number_cell(value: float | None, text: str) -> Cell:
    """A cell that sorts by `value`, or last where there is none."""
    return Cell(text, float("nan") if value is None else float(value))


def words_cell(text: str) -> Cell:
    """A cell of words."""
    return Cell(text)


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def known(value: float | None) -> bool:
    """Whether there is a number."""
    return value is not None and bool(np.isfinite(value))
