"""What tasks took in earlier sessions, as their folders say: told to the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from histoblend.execution.clock import Clock, Estimate, Seconds
from histoblend.execution.device import Device
from histoblend.execution.jobs import task_estimates
from histoblend.execution.preflight import PlannedExperiment
from histoblend.training.state_about import saved_epochs
from histoblend.workspace import TaskFolder, Workspace, read_json


@dataclass(frozen=True)
class Ahead:
    """What a run has before it.

    Attributes:
        tasks: all of them.
        left: those that are not finished.
        clock: what these are expected to take.
    """

    tasks: list[Estimate]
    left: list[Estimate]
    clock: Clock


def look_ahead(
    planned: Sequence[PlannedExperiment],
    folds: Sequence[int],
    device: Device,
    workspace: Workspace,
    *,
    measured: bool = True,
) -> Ahead:
    """The tasks before a run, with what folders say of their times unless `measured` is false."""
    tasks, left = [], []
    clock = Clock([])
    for one in planned:
        folder = workspace.experiment(one.experiment.name)
        for task in task_estimates(one, folds, device, folder):
            if measured:
                learn_folder(clock, task, folder.task(task.fold), device.label)
            tasks.append(task)
            if not folder.task(task.fold).done.exists():
                left.append(task)
    return Ahead(tasks, left, clock)


def learn_folder(clock: Clock, task: Estimate, folder: TaskFolder, device: str) -> int:
    """Tell `clock` what `task` took so far; times of another device than `device` say nothing.

    Returns:
        Epochs that its saved state has behind it; 0 for a finished task.
    """
    if folder.done.exists():
        done = read_json(folder.done)
        if done.get("device", device) == device:
            clock.learn(task, Seconds(done["train_seconds"], done["prediction_seconds"]))
        return 0
    saved = saved_epochs(folder.state) if folder.state.exists() else None
    if saved is None:
        return 0
    history, where = saved
    if history and where == device:
        clock.learn_epochs(task, [row["seconds"] for row in history])
    return len(history)
