"""A task with what is known of it before it runs, as every executor takes it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from histoblend.config_experiment import Experiment
from histoblend.data.views import chosen_views
from histoblend.execution.clock import Estimate
from histoblend.execution.device import Device
from histoblend.execution.preflight import PlannedExperiment
from histoblend.execution.records import Record
from histoblend.models.registry import find_network
from histoblend.reporting.progress import duration
from histoblend.training.deadline import Deadline
from histoblend.training.observer import Observer
from histoblend.training.task import Task, Trainer
from histoblend.workspace import ExperimentFolder, TaskFolder


@dataclass(frozen=True)
class Job:
    """A task with what is known of it before it runs."""

    planned: PlannedExperiment
    folder: ExperimentFolder
    fold: int
    record: Record
    estimate: Estimate
    """What it is thought to take, by arithmetic."""

    @property
    def experiment(self) -> Experiment:
        """The experiment."""
        return self.planned.experiment

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.experiment.name} fold {self.fold}"

    @property
    def tasks_folder(self) -> TaskFolder:
        """The folder of the task."""
        return self.folder.task(self.fold)

    @property
    def can_be_cut(self) -> bool:
        """Whether it can stop at an epoch's end and go on in another session."""
        return find_network(self.experiment.network.name).kind != "features"

    def task(self, deadline: Deadline | None = None) -> Task:
        """The task itself, to be stopped at an epoch's end when `deadline` says so."""
        record = self.record
        return Task(
            self.experiment, self.fold, self.tasks_folder, record.fingerprint, record.precision, deadline
        )


def task_estimates(
    planned: PlannedExperiment, folds: Sequence[int], device: Device, folder: ExperimentFolder
) -> list[Estimate]:
    """What each fold is thought to take; an estimator describes the patches in the first one of a session, for all."""
    estimates = [task_estimate(planned, fold, device) for fold in folds]
    share = planned.work.describing_seconds(device.threads)
    done = [folder.task(fold).done.exists() for fold in folds]
    firsts = {done.index(state) for state in (True, False) if state in done}
    return [
        replace(one, training=one.training + share * (len(folds) - 1 if place in firsts else -1))
        for place, one in enumerate(estimates)
    ]


def task_estimate(planned: PlannedExperiment, fold: int, device: Device) -> Estimate:
    """What a task of the experiment is thought to take on `device`."""
    kind, network = (device.kind, device.threads), find_network(planned.experiment.network.name)
    return Estimate(
        experiment=planned.experiment.name,
        kind=network.kind,
        training=planned.work.training_seconds(*kind),
        prediction=planned.work.prediction_seconds(*kind),
        start=planned.work.start_seconds(device.kind),
        epochs=planned.experiment.training.epochs if network.kind == "keras" else 1,
        fold=fold,
    )


def trainer(job: Job, observer: Observer) -> Trainer:
    """What trains this job's kind of network; Keras is loaded only for those that need it."""
    if find_network(job.experiment.network.name).kind == "features":
        from histoblend.training.texture_task import train_texture

        return train_texture
    from histoblend.training.network_task import train_network

    return functools.partial(train_network, views=chosen_views(job.planned.views), observer=observer)


def result_line(label: str, result: dict[str, Any], seconds: float, left: float) -> str:
    """What is said of a finished task: `result` is the content of its done.json, `seconds` this session's part."""
    gain = f", {result['auc_one_view']:.4f} with one view" if result["views"] > 1 else ""
    return (
        f"{label}: AUC {result['auc']:.4f}{gain}, {result['images_per_second']:.0f} images/s, "
        f"{duration(seconds)}, left about {duration(left)}"
    )
