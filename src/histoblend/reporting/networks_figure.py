"""AUC against speed, a point for each network that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from histoblend.workspace import atomic_write

Content = Mapping[str, Any]
LINE = 0.036  # height of a label in units of the figure's plotting area
LETTER = 0.0093  # width of a letter
SIDE = 0.012  # gap between point and label


def write_figure(path: Path, trials: Sequence[Content]) -> None:
    """Draw AUC (TTA where there is any) against images/s in training as PNG; trials that were not run are left out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    run = [trial for trial in trials if trial.get("result")]
    figure = Figure(figsize=(9, 6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    speeds = np.array([trial["speeds"]["train"] for trial in run])
    scores = np.array([trial["result"]["auc"] for trial in run])
    families = list(dict.fromkeys(trial["family"] for trial in run))
    for trial, speed, score in zip(run, speeds, scores, strict=True):
        filled = trial["weights"] != "none"
        colour = f"C{families.index(trial['family']) % 10}"
        axes.plot(
            speed, score, "o", color=colour, markerfacecolor=colour if filled else "white", markersize=7
        )
    axes.set_xscale("log")
    axes.set(
        xlabel="images/s in training (logarithmic)", ylabel=f"AUC of held-out fold {run[0]['result']['fold']}"
    )
    axes.set_title(_title(run), fontsize=10)
    axes.margins(x=0.15, y=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="0.9")
    _label(axes, [trial["name"] for trial in run], speeds, scores)
    with atomic_write(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def _title(run: Sequence[Content]) -> str:
    mark = " (SYNTHETIC patches)" if any(trial["data"]["synthetic"] for trial in run) else ""
    hollow = (
        "; hollow: large networks from random weights" if any(t["weights"] == "none" for t in run) else ""
    )
    return f"{run[0]['result']['minutes']:g} minutes of training each, {run[0]['data']['name']}{mark}{hollow}"


def _label(axes: Any, names: Sequence[str], speeds: np.ndarray, scores: np.ndarray) -> None:
    """Names to the right of their points, moved apart where they would cover each other, with a line to the point."""
    places = np.column_stack(
        [_share(np.log(speeds), np.log(axes.get_xlim())), _share(scores, axes.get_ylim())]
    )
    heights = spread_out(places, [len(name) * LETTER for name in names])
    for name, (x, y), height in zip(names, places, heights, strict=True):
        moved = abs(height - y) > LINE / 4
        line = {"arrowstyle": "-", "color": "0.7", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            name,
            (x, y),
            (x + SIDE * (2 if moved else 1), height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            fontsize=8,
            verticalalignment="center",
            arrowprops=line if moved else None,
        )


def _share(values: np.ndarray, ends: Sequence[float]) -> np.ndarray:
    """Where `values` lie between the ends of an axis, 0 to 1; known before the figure is laid out."""
    return np.asarray((values - ends[0]) / (ends[1] - ends[0]))


def spread_out(places: np.ndarray, widths: Sequence[float]) -> np.ndarray:
    """Heights (n,) for labels that stand right of `places` (n, 2), none covering another or a point, near their own.

    Everything is in units of the plotting area. From the lowest up, each label takes the nearest free height.
    """
    heights = places[:, 1].copy()
    done: list[int] = []
    for number in np.argsort(heights, kind="stable"):
        beside = [heights[other] for other in done if _beside(places, widths, number, other)]
        offsets = np.array(sorted(np.arange(-40, 41) * LINE / 4, key=abs))
        covered = (places[:, 0] > places[number, 0]) & (
            places[:, 0] < places[number, 0] + widths[number] + SIDE
        )
        beside += list(places[covered, 1])
        free = (
            y for y in places[number, 1] + offsets if all(abs(y - other) >= LINE * 0.999 for other in beside)
        )
        heights[number] = next(free, heights[number])
        done.append(int(number))
    return heights


def _beside(places: np.ndarray, widths: Sequence[float], one: int, other: int) -> bool:
    """Whether two labels would share columns, points included."""
    left = other if places[other, 0] <= places[one, 0] else one
    return bool(abs(places[one, 0] - places[other, 0]) < widths[left] + 2 * SIDE)
