"""`histoblend trial`: measure how fast each network is, then train each for the same wall time on one fold."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from histoblend.config_files import configs_folder, load_plan
from histoblend.data.pack import Pack
from histoblend.data.split import Split
from histoblend.errors import ArtifactRefusal, DataRefusal, MachineRefusal, Refusal, some
from histoblend.execution.in_process import Job, run_jobs
from histoblend.execution.preflight import PlannedExperiment
from histoblend.models.registry import find_network
from histoblend.preparation import Prepared, chosen_folds, default_output, introduce
from histoblend.preparation import Request as RunRequest
from histoblend.reporting.networks_page import BUSY_CORES
from histoblend.reporting.progress import Display, duration
from histoblend.training.task import TaskInputs, is_done
from histoblend.trials.length import Length, length_for
from histoblend.trials.provenance import about, cores_of_others, machine, read_busy
from histoblend.trials.recipe import Asked, Trial, chosen_trials
from histoblend.trials.record import Content, keep, kept_record
from histoblend.workspace import Workspace, fingerprint, locked, read_json, scratch_folder

LENGTH = {"epochs", "samples_per_epoch"}  # what the measured rate decides


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


def run_trials(request: TrialRequest, display: Display, environment: Mapping[str, str]) -> list[Content]:
    """Measure and train what is not done yet.

    Returns:
        The record of every trial asked for.

    Raises:
        Refusal: something stands in the way of all; or, at the end, of some, whose records say what.
    """
    from histoblend.pipeline import open_pack, open_split, task_inputs

    prepared, trials = prepare_trials(request, display, environment)
    with locked(prepared.workspace):
        packed = open_pack(prepared, display)
        split = open_split(prepared, packed, display)
        # A trial scores the held-out fold; predicting the test patches as well would take as long as the training.
        packed = replace(packed, test=packed.test.iloc[:0])
        inputs = task_inputs(prepared, packed, split, display)
        ground = Ground(request, prepared, packed, split, inputs, display)
        try:
            records = measure_all(trials, ground)
            if not request.speeds_only:
                records = [try_one(trial, ground) for trial in trials]
        finally:
            inputs.workers.close()
    refuse_failed(records)
    return records


def prepare_trials(
    request: TrialRequest, display: Display, environment: Mapping[str, str]
) -> tuple[Prepared, list[Trial]]:
    """Find data and device, and what is to be tried.

    Raises:
        Refusal: no data, or an unknown name.
    """
    from histoblend.competition.source import find_source
    from histoblend.execution.device import prepare_device

    configs = configs_folder(environment)
    plan = load_plan(request.plan, configs)
    trials = chosen_trials(request.asked, configs, plan.data.side)
    source = find_source(request.data, environment, configs.parent / "input", plan.data.use_valid)
    if source is None:
        raise DataRefusal("No data found.", "a folder of patches", "name one: --data ../hcd")
    introduce(source, display)
    output = request.output or default_output(configs.parent, environment) / "networks"
    workspace = Workspace(output.absolute())
    device = prepare_device(plan.execution)
    display.tell(f"Device: {machine(device)}, {device.precision} by default.")
    folds = chosen_folds(plan, RunRequest(folds=(request.fold,)))
    scratch = scratch_folder(workspace, environment)
    return Prepared(workspace, scratch, source, plan, folds, device, [], []), trials


def measure_all(trials: Sequence[Trial], ground: Ground) -> list[Content]:
    """The speeds of all trials, before anything is trained: a quiet machine is needed for this part only."""
    waiting = [trial for trial in trials if not has_speeds(trial, ground)]
    if waiting:
        before = read_busy()
        time.sleep(1.0)
        load = cores_of_others(before, read_busy())
        if load is not None and load > BUSY_CORES:
            ground.display.warn(
                f"Others keep {load:.1f} cores of this machine busy: the rates measured now will be too low."
            )
    for number, trial in enumerate(waiting, 1):
        record = measured(trial, ground)
        keep(ground.workspace, record)
        ground.display.tell(f"[{number}/{len(waiting)}] {trial.name}: {speed_sentence(record)}")
    return [kept_record(ground.workspace, trial.name) for trial in trials]


def speed_sentence(record: Content) -> str:
    """What was measured, in a line."""
    if record["refused"]:
        return str(record["refused"])
    speeds = record["speeds"]
    return f"{speeds['train']:,.0f} images/s in training, {speeds['predict']:,.0f} in prediction"


def has_speeds(trial: Trial, ground: Ground) -> bool:
    """Whether the speeds of this very network on this very machine are known."""
    speeds = kept_record(ground.workspace, trial.name).get("speeds")
    known = speeds is not None and speeds["key"] == speed_key(trial, ground)
    return known and not ground.request.remeasure


def speed_key(trial: Trial, ground: Ground) -> str:
    """Identity of what a rate depends on: everything but the length, and the machine."""
    settings = trial.experiment.model_dump(mode="json", exclude={"name", "role", "seed"})
    settings["training"] = {key: value for key, value in settings["training"].items() if key not in LENGTH}
    return fingerprint([settings, ground.packed.side, machine(ground.prepared.device)])


def measured(trial: Trial, ground: Ground) -> Content:
    """The record of a trial with its speeds; with the refusal in their place where it cannot be built."""
    from histoblend.trials.speeds import prediction_rate, training_rate

    record = kept_record(ground.workspace, trial.name)
    if (record.get("speeds") or {}).get("key") != speed_key(trial, ground):
        record["result"] = None  # of another recipe or machine; its artifacts stay where they are
    record |= description(trial, ground)
    before, seconds = read_busy(), ground.request.speed_seconds
    try:
        planned = planned_trial(trial, ground)
        task = make_job(planned, ground, started=False).task()
        speeds: Content = {
            "train": training_rate(task, ground.inputs, seconds),
            "predict": prediction_rate(task, ground.inputs, seconds),
        }
    except Refusal as refusal:
        return record | {"speeds": None, "parameters": None, "macs": None, "refused": str(refusal)}
    # Beside a card, the processes that augment are this one's children, and count as others.
    others = cores_of_others(before, read_busy()) if ground.prepared.device.kind == "cpu" else None
    speeds |= {"key": speed_key(trial, ground), "busy_cores": others, "date": time.strftime("%Y-%m-%d")}
    speeds |= {"batch_size": trial.experiment.training.batch_size, "precision": task.precision}
    work = planned.work
    return record | {"parameters": work.parameters, "macs": work.macs, "speeds": speeds, "refused": None}


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
    return Job(planned, folder, ground.request.fold, record, 0.0)


def try_one(trial: Trial, ground: Ground) -> Content:
    """Train and score one network, if that is not done; what it refuses is kept in its record."""
    record = kept_record(ground.workspace, trial.name)
    if record["refused"] and not record["speeds"]:
        return record
    key = fingerprint([record["speeds"]["key"], record["data"], trial_terms(trial, ground)])
    if (record.get("result") or {}).get("key") == key:
        ground.display.tell(f"{trial.name}: done already, AUC {record['result']['auc']:.4f}.")
        return record
    try:
        result = trained(trial, record["speeds"]["train"], ground)
    except (MachineRefusal, ArtifactRefusal):
        raise
    except Refusal as refusal:
        record |= {"refused": str(refusal)}
        ground.display.warn(f"{trial.name}: {refusal}")
    else:
        record |= description(trial, ground) | {"refused": None, "result": result | {"key": key}}
    keep(ground.workspace, record)
    return record


def trial_terms(trial: Trial, ground: Ground) -> list[Any]:
    """What a result depends on beside network and data."""
    return [ground.request.minutes, ground.request.fold, ground.prepared.plan.tta, trial.experiment.seed]


def trained(trial: Trial, images_per_second: float, ground: Ground) -> Content:
    """What the pipeline's own task makes of the trial in the time given."""
    experiment, minutes = trial.experiment, ground.request.minutes
    patches, batch = ground.training_patches, experiment.training.batch_size
    length = length_for(minutes, images_per_second, patches, batch)
    planned = planned_trial(replace(trial, experiment=with_length(trial, length)), ground)
    job = make_job(planned, ground, started=True)
    passes = length.passes(patches)
    ground.display.tell(f"{trial.name}: {passes:.1f} passes in {duration(minutes * 60)}")
    if not is_done(job.tasks_folder, job.record.fingerprint, ground.display.tell):
        run_jobs([job], ground.inputs, None, ground.display)
    done = read_json(job.tasks_folder.done)
    taken = ("auc", "auc_one_view", "views", "patches", "precision", "train_seconds", "prediction_seconds")
    kept = {key: done[key] for key in taken}
    return kept | {
        "passes": passes,
        "minutes": minutes,
        "fold": ground.request.fold,
        "training_patches": patches,
        "date": time.strftime("%Y-%m-%d"),
    }


def with_length(trial: Trial, length: Length) -> Any:
    """The trial's experiment, trained for that long."""
    update = {"epochs": length.epochs, "samples_per_epoch": length.samples_per_epoch}
    training = trial.experiment.training.model_copy(update=update)
    return trial.experiment.model_copy(update={"training": training})


def refuse_failed(records: Sequence[Content]) -> None:
    """Say at the end which trials could not be made; the others are finished and kept.

    Raises:
        MachineRefusal: there are any.
    """
    if failed := [record for record in records if record["refused"]]:
        reasons = "\n".join(f"  {record['name']}: {record['refused']}" for record in failed)
        raise MachineRefusal(
            f"{len(failed)} of {len(records)} trials could not be made: "
            f"{some([record['name'] for record in failed])}.\n{reasons}",
            "networks that can be built and trained here",
            "mend what is said there, or leave them out with --networks.",
        )
