"""Tasks one after the other in this process."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

from histoblend.config_experiment import Experiment
from histoblend.data.views import chosen_views
from histoblend.execution.costs import Clock, Estimate
from histoblend.execution.preflight import PlannedExperiment
from histoblend.execution.records import Record
from histoblend.models.registry import find_network
from histoblend.reporting.progress import Display, duration
from histoblend.training.observer import Observer
from histoblend.training.task import Task, TaskInputs, Trainer, run_task
from histoblend.workspace import ExperimentFolder, TaskFolder


@dataclass(frozen=True)
class Job:
    """A task with what is known of it before it runs."""

    planned: PlannedExperiment
    folder: ExperimentFolder
    fold: int
    record: Record
    estimate: float

    @property
    def experiment(self) -> Experiment:
        """The experiment."""
        return self.planned.experiment

    @property
    def tasks_folder(self) -> TaskFolder:
        """The folder of the task."""
        return self.folder.task(self.fold)

    def expected(self) -> Estimate:
        """What it is thought to take."""
        kind = find_network(self.experiment.network.name).kind
        return Estimate(self.experiment.name, kind, self.estimate)

    def task(self) -> Task:
        """The task itself."""
        record = self.record
        return Task(self.experiment, self.fold, self.tasks_folder, record.fingerprint, record.precision)


def run_jobs(jobs: list[Job], inputs: TaskInputs, budget_seconds: float | None, display: Display) -> bool:
    """Run `jobs` in order; False if the next one would not have fitted the budget."""
    clock = Clock([job.expected() for job in jobs])
    begun = time.monotonic()
    for number, job in enumerate(jobs, 1):
        used = time.monotonic() - begun
        if budget_seconds is not None and used + clock.next_task() > budget_seconds:
            display.tell(f"{len(jobs) - number + 1} tasks do not fit the budget and were not started.")
            return False
        started = time.monotonic()
        label = f"[{number}/{len(jobs)}] {job.experiment.name} fold {job.fold}"
        with display.training(label, clock) as observer:
            result = run_task(job.task(), inputs, trainer(job, observer))
        seconds = time.monotonic() - started
        of_all_sessions = result["train_seconds"] + result["prediction_seconds"]  # where it was resumed
        clock.finish(max(seconds, of_all_sessions))
        gain = f", {result['auc_one_view']:.4f} with one view" if result["views"] > 1 else ""
        display.tell(
            f"{label}: AUC {result['auc']:.4f}{gain}, {result['images_per_second']:.0f} images/s, "
            f"{duration(seconds)}, left about {duration(clock.left())}"
        )
    return True


def trainer(job: Job, observer: Observer) -> Trainer:
    """What trains this job's kind of network; Keras is loaded only for those that need it."""
    if find_network(job.experiment.network.name).kind == "features":
        from histoblend.training.texture_task import train_texture

        return train_texture
    from histoblend.training.network_task import train_network

    return functools.partial(train_network, views=chosen_views(job.planned.views), observer=observer)
