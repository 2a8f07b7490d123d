"""The table of tasks a run is about to do, with what they are expected to cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from histoblend.execution.device import Device
from histoblend.execution.measured import look_ahead
from histoblend.execution.preflight import PlannedExperiment
from histoblend.reporting.progress import duration
from histoblend.workspace import Workspace

# Two lines a row, so that the table fits 80 columns.
HEADINGS = {
    "experiment\nnetwork@size, augmentation": "left",
    "epochs\npatches": "right",
    "MMACs\nparams": "right",
    "weights\nwatches": "left",
    "views\nfolds": "right",
    "a fold\nto do": "right",
}


def printed_tasks(
    planned: Sequence[PlannedExperiment], folds: Sequence[int], device: Device, workspace: Workspace
) -> Table:
    """One row an experiment, its folds in one cell; the last row adds up what is not done yet."""
    table = Table(
        title=f"Tasks (experiment x fold) on {device.name}; times are estimates until measured",
        title_justify="left",
        caption="patches: drawn for training in all epochs together, repeats included",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading, side in HEADINGS.items():
        table.add_column(heading, justify="left" if side == "left" else "right", overflow="fold")
    ahead = look_ahead(planned, folds, device, workspace)
    total, tasks = 0.0, len(ahead.left)
    for one in planned:
        left = [task for task in ahead.left if task.experiment == one.experiment.name]
        wholes = [ahead.clock.whole(task) for task in ahead.tasks if task.experiment == one.experiment.name]
        seconds = sum(ahead.clock.expected(task).total for task in left)
        total += seconds
        to_do = ",".join(str(task.fold) for task in left) or "done"
        times = f"{duration(sum(wholes) / len(wholes))}\n{duration(seconds)}"
        table.add_row(*_cells(one), f"{one.views}\n{to_do}", times)
    table.add_section()
    several = f", {device.processes} at a time" if device.processes > 1 else ""
    table.add_row(
        f"{tasks} tasks to do{several}", *[""] * 4, duration(total / device.processes), style="bold"
    )
    return table


def _cells(one: PlannedExperiment) -> list[str]:
    experiment = one.experiment
    if not one.work.macs:
        return [f"{experiment.name}\n{experiment.network.name}", "", "", "none\nnothing"]
    preset = experiment.augmentation if isinstance(experiment.augmentation, str) else "own list"
    source = Path(one.weights)
    watches = "inner split" if experiment.needs_inner_split else "nothing"
    return [
        f"{experiment.name}\n{experiment.network.name}@{one.input_size}, {preset}",
        f"{experiment.training.epochs}\n{one.work.training_patches:,}",
        f"{one.work.macs / 1e6:,.0f}\n{one.work.parameters / 1e6:.2f}M",
        f"{'file' if source.suffix else one.weights}\n{watches}",
    ]
