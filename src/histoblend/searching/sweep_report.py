"""The trials of a sweep: a line each while it runs, a table, a CSV, a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.table import Table

from histoblend.config_experiment import Experiment
from histoblend.reporting.progress import duration
from histoblend.searching.space import base_value, shown_value
from histoblend.searching.sweep_config import Sweep
from histoblend.searching.sweep_plot import write_sweep_plot
from histoblend.searching.trial_records import Trial
from histoblend.workspace import write_csv

SHOWN = 20  # trials in the printed table; the CSV holds all


def trial_line(trial: Trial, trials: int, best: Trial | None) -> str:
    """How a trial ended, and the best so far."""
    values = ", ".join(f"{key} {shown_value(value)}" for key, value in trial.values.items())
    score = (
        f"inner AUC {trial.objective:.4f}" if trial.objective is not None else f"{trial.state}: {trial.note}"
    )
    again = f" ({trial.note})" if trial.objective is not None and trial.note else ""
    lead = f"; best {best.objective:.4f} (trial {best.number})" if best is not None else "; none finished yet"
    return f"Trial {trial.number}/{trials}: {score}{again}, {duration(trial.seconds)}{lead}. {values}"


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Finished trials from best to worst, then those that were stopped, then those that failed."""
    order = {"finished": 0, "pruned": 1, "failed": 2}
    return sorted(trials, key=lambda one: (order[one.state], -(one.objective or 0.0), one.number))


def printed_trials(sweep: Sweep, trials: Sequence[Trial], best: Trial | None) -> Table:
    """The trials from best to worst; the best is bold."""
    table = Table(
        title=f"Sweep {sweep.name}: AUC on the inner split, from which the best was chosen: it reads too high",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("trial", "inner AUC", "epochs", "time"):
        table.add_column(heading, justify="right")
    for key in sweep.parameters:
        table.add_column(key, justify="right", overflow="fold")
    for one in _ranked(trials)[:SHOWN]:
        score = one.state if one.objective is None else f"{one.objective:.4f}"
        cells = [str(one.number), score, str(len(one.aucs)), duration(one.seconds)]
        shown = [shown_value(one.values[key]) for key in sweep.parameters]
        table.add_row(*cells, *shown, style="bold" if one == best else None)
    if len(trials) > SHOWN:
        table.caption, table.caption_justify = f"{len(trials) - SHOWN} more stand in trials.csv", "left"
    return table


def printed_space(sweep: Sweep, base: Experiment) -> Table:
    """What is searched, and where the base stands in it."""
    title = f"Sweep {sweep.name} of {sweep.base}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("setting", "values", f"{sweep.base} has"):
        table.add_column(heading, overflow="fold")
    for key, parameter in sweep.parameters.items():
        value = base_value(base, key, parameter)
        outside = "" if parameter.holds(value) else " (outside)"
        table.add_row(key, str(parameter), f"{shown_value(value)}{outside}")
    return table


def trials_table(sweep: Sweep, trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial in the order they ran; `best_epoch_auc` is that of its best epoch, stopped ones too."""
    rows = [
        {
            "trial": one.number,
            "state": one.state,
            "inner_auc": one.objective,
            "best_epoch_auc": max(one.aucs, default=None),
            "epochs": len(one.aucs),
            "seconds": round(one.seconds, 1),
            **{
                key: shown_value(value) if isinstance(value, list | dict) else value
                for key, value in one.values.items()
            },
            "note": one.note,
        }
        for one in trials
    ]
    columns = [
        "trial",
        "state",
        "inner_auc",
        "best_epoch_auc",
        "epochs",
        "seconds",
        *sweep.parameters,
        "note",
    ]
    return pd.DataFrame(rows, columns=columns)


def write_reports(folder: Path, sweep: Sweep, trials: Sequence[Trial], synthetic: bool) -> Path:
    """Write trials.csv and trials.png into the sweep's folder; returns the CSV's path."""
    write_csv(folder / "trials.csv", trials_table(sweep, trials))
    mark = " (SYNTHETIC patches)" if synthetic else ""
    write_sweep_plot(folder / "trials.png", f"Sweep {sweep.name}{mark}", sweep, trials)
    return folder / "trials.csv"
