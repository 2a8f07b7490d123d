"""`histoblend trial`: measure how fast each network is, then train each for the same wall time on one fold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from histoblend.config_files import configs_folder, load_plan
from histoblend.errors import ArtifactRefusal, DataRefusal, MachineRefusal, Refusal, some
from histoblend.execution.in_process import run_jobs
from histoblend.preparation import Prepared, chosen_folds, default_output, introduce
from histoblend.preparation import Request as RunRequest
from histoblend.reporting.progress import Display, duration
from histoblend.training.task import is_done
from histoblend.trials.ground import Ground, TrialRequest, description, make_job, planned_trial
from histoblend.trials.length import Length, length_for
from histoblend.trials.measuring import measure_all
from histoblend.trials.provenance import machine
from histoblend.trials.recipe import Trial, chosen_trials
from histoblend.trials.record import Content, keep, kept_record
from histoblend.workspace import Workspace, fingerprint, locked, read_json, scratch_folder


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
        run_jobs([job], ground.inputs, None, ground.display).raise_failure()
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
