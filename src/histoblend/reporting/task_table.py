"""The table of tasks a run is about to do, with what they are expected to cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from histoblend.execution.device import Device
from histoblend.execution.preflight import PlannedExperiment
from histoblend.reporting.progress import duration
from histoblend.workspace import Workspace


def printed_tasks(
    planned: Sequence[PlannedExperiment], folds: Sequence[int], device: Device, workspace: Workspace
) -> Table:
    """One row an experiment, its folds in one cell; the last row adds up what is not done yet."""
    table = Table(
        title=f"Tasks on {device.name}: (experiment x fold), times estimated until measured",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    left_aligned = {"experiment", "network", "augment", "weights", "watches"}
    headings = ["experiment", "network", "augment", "epochs", "MMACs", "params", "weights", "watches"]
    for heading in [*headings, "views", "to do", "a fold", "all"]:
        table.add_column(heading, justify="left" if heading in left_aligned else "right", overflow="fold")
    total = 0.0
    for one in planned:
        left = [k for k in folds if not workspace.experiment(one.experiment.name).task(k).done.exists()]
        seconds = one.work.seconds(device.kind, device.threads)
        total += seconds * len(left)
        to_do = "".join(map(str, left)) or "done"
        table.add_row(*_cells(one), to_do, duration(seconds), duration(seconds * len(left)))
    table.add_section()
    table.add_row("all", *[""] * 10, duration(total), style="bold")
    return table


def _cells(one: PlannedExperiment) -> list[str]:
    experiment = one.experiment
    if not one.work.macs:
        return [experiment.name, experiment.network.name, *[""] * 5, "nothing", str(one.views)]
    return [
        experiment.name,
        f"{experiment.network.name}@{experiment.input_size}",
        experiment.augmentation if isinstance(experiment.augmentation, str) else "own list",
        str(experiment.training.epochs),
        f"{one.work.macs / 1e6:,.0f}",
        f"{one.work.parameters / 1e6:.2f}M",
        one.weights,
        "inner split" if experiment.needs_inner_split else "nothing",
        str(one.views),
    ]
