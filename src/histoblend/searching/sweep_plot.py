"""The plot of a sweep: the trials in their order, then each setting against the AUC it led to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histoblend.searching.space import shown_value
from histoblend.searching.sweep_config import Parameter, Sweep
from histoblend.searching.trial_records import Trial
from histoblend.workspace import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
LABEL_LENGTH = 18  # of a choice, on the axis
# State, marker, colour: what is drawn of each trial at the AUC of its last epoch.
MARKS = (("finished", "o", "tab:blue"), ("pruned", "x", "0.55"))


def write_sweep_plot(path: Path, title: str, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Draw the sweep as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = 1 + len(sweep.parameters)
    columns = min(COLUMNS, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows + 0.4), layout="constrained", dpi=100)
    figure.suptitle(f"{title}: AUC on the inner split")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    _draw_course(grid[0], trials)
    for axes, (key, parameter) in zip(grid[1:], sweep.parameters.items(), strict=False):
        _draw_setting(axes, key, parameter, trials)
    for axes in grid[panels:]:
        axes.set_axis_off()
    with atomic_write(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def _height(trial: Trial) -> float:
    return trial.aucs[-1] if trial.objective is None else trial.objective


def _shown(trials: Sequence[Trial], state: str) -> list[Trial]:
    return [one for one in trials if one.state == state and one.aucs]


def _draw_course(axes: Axes, trials: Sequence[Trial]) -> None:
    from matplotlib.ticker import MaxNLocator

    for state, marker, colour in MARKS:
        some = _shown(trials, state)
        if some:
            axes.plot(
                [one.number for one in some],
                [_height(one) for one in some],
                marker,
                color=colour,
                label=state,
            )
    for one in trials:
        if one.state == "failed":
            axes.axvline(one.number, color="tab:red", linestyle=":", linewidth=1)
    best = np.maximum.accumulate([np.nan_to_num(one.objective or 0.0) for one in trials])
    begun = best > 0
    if begun.any():
        numbers = np.array([one.number for one in trials])
        axes.step(
            numbers[begun], best[begun], where="post", color="tab:green", linewidth=1, label="best so far"
        )
    failed = sum(one.state == "failed" for one in trials)
    axes.set(xlabel="trial" + (f" (dotted: {failed} failed)" if failed else ""), ylabel="inner-split AUC")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(one.aucs for one in trials):
        axes.legend(fontsize="small")


def _draw_setting(axes: Axes, key: str, parameter: Parameter, trials: Sequence[Trial]) -> None:
    for state, marker, colour in MARKS:
        some = _shown(trials, state)
        places = [_place(one.values[key], parameter) for one in some]
        axes.plot(places, [_height(one) for one in some], marker, color=colour)
    if parameter.choices is not None:
        labels = [shown_value(one) for one in parameter.choices]
        short = [label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 1]}…" for label in labels]
        axes.set_xticks(range(len(labels)), short, rotation=20, ha="right")
        axes.set_xlim(-0.5, len(labels) - 0.5)
    elif parameter.log:
        axes.set_xscale("log")
    axes.set_xlabel(key)


def _place(value: object, parameter: Parameter) -> float:
    return float(value) if parameter.choices is None else float(parameter.place(value))  # type: ignore[arg-type]
