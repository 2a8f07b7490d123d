"""The plot of a learning-rate range test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histoblend.searching.learning_rate import DIVERGED, RangeCurve, smoothed
from histoblend.workspace import atomic_write


def write_range_plot(path: Path, curve: RangeCurve, current: float) -> None:
    """Draw loss against learning rate as PNG, with the rates suggested and the `current` one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    line = smoothed(curve.losses)
    axes.plot(curve.rates, curve.losses, ".", color="0.75", markersize=4, label="loss of each step")
    axes.plot(curve.rates[: len(line)], line, color="tab:blue", linewidth=2, label="smoothed")
    for rate, label, colour, style in _marks(curve, current):
        axes.axvline(rate, color=colour, linestyle=style, label=f"{label}: {rate:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss", title=curve.title)
    axes.set_ylim(*_limits(curve.losses, line))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    with atomic_write(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def _marks(curve: RangeCurve, current: float) -> list[tuple[float, str, str, str]]:
    """Rate, label, colour and line style of each vertical line."""
    marks = [(current, "set now", "0.4", ":")]
    if (found := curve.suggestion) is not None:
        marks.append((found.steepest, "steepest descent", "tab:red", "--"))
        marks.append((found.tenth, "lowest loss / 10", "tab:green", "-."))
    return marks


def _limits(losses: list[float], line: np.ndarray) -> tuple[float, float]:
    """What of the losses is drawn: a few that exploded would flatten all others."""
    finite = np.array([loss for loss in losses if np.isfinite(loss)] or [0.0, 1.0])
    highest = min(float(finite.max()), DIVERGED / 2 * float(np.median(line))) if len(line) else finite.max()
    margin = 0.05 * (highest - finite.min()) or 0.1
    return float(finite.min() - margin), float(highest + margin)
