"""What all trials share, and what one of them is to the pipeline: a description, costs, one task."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from histoblend.data.pack import Pack
from histoblend.data.split import Split
from histoblend.execution.jobs import Job, task_estimate
from histoblend.execution.preflight import PlannedExperiment
from histoblend.models.registry import find_network
from histoblend.preparation import Prepared
from histoblend.reporting.progress import Display
from histoblend.training.task import TaskInputs
from histoblend.trials.provenance import about
from histoblend.trials.recipe import Asked, Trial
from histoblend.trials.record import Content
from histoblend.workspace import Workspace


@dataclass(frozen=True)
class TrialRequest:
    """What the user typed."""

    asked: Asked
    plan: str = "mini"
    data: Path | None = None
    output: Path | None = None
    fold: int = 0
    minutes: float = 4.0
    speed_seconds: float = 8.0
    speeds_only: bool = False
    remeasure: bool = False


@dataclass(frozen=True)
class Ground:
    """What all trials share."""

    request: TrialRequest
    prepared: Prepared
    packed: Pack
    split: Split
    inputs: TaskInputs
    display: Display

    @property
    def workspace(self) -> Workspace:
        """The output folder of the trials."""
        return self.prepared.workspace

    @property
    def training_patches(self) -> int:
        """In all folds but the one that is scored."""
        return int((self.split.folds["fold"] != self.request.fold).sum())


def description(trial: Trial, ground: Ground) -> Content:
    """What is tried, on what data, on what machine."""
    experiment, competition = trial.experiment, ground.prepared.competition
    return {
        "name": trial.name,
        "network": experiment.network.name,
        "network_parameters": experiment.network.parameters,
        "family": find_network(experiment.network.name).family,
        "recipe": trial.recipe,
        "weights": trial.weights,
        "input_size": experiment.input_size or ground.packed.side,
        "data": {
            "name": competition.name,
            "fingerprint": ground.packed.fingerprint,
            "folds": ground.split.fingerprint,
            "synthetic": competition.synthetic,
        },
        "command": shlex.join(["histoblend", *sys.argv[1:]]),
        **about(ground.prepared.device),
    }


def planned_trial(trial: Trial, ground: Ground) -> PlannedExperiment:
    """The trial with its costs, as the pipeline takes it."""
    from histoblend.execution.preflight import plan_work

    prepared = ground.prepared
    patches = (len(ground.split.folds), 0)
    frame = (ground.packed.side, len(prepared.competition.classes))
    return plan_work([trial.experiment], prepared.plan.tta, patches, prepared.plan.folds.count, frame)[0]


def make_job(planned: PlannedExperiment, ground: Ground, *, started: bool) -> Job:
    """The trial's one task; `started` writes down with what it starts, and refuses what has changed since."""
    from histoblend.pipeline import fresh_record, make_jobs

    prepared = replace(ground.prepared, planned=[planned])
    if started:
        return make_jobs(prepared, ground.packed, ground.split)[0]
    record = fresh_record(planned.experiment, prepared, ground.packed, ground.split)
    folder = ground.workspace.experiment(planned.experiment.name)
    estimate = task_estimate(planned, ground.request.fold, prepared.device)
    return Job(planned, folder, ground.request.fold, record, estimate)
