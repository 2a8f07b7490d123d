"""How many images a second each network of the trials takes, in training and in prediction."""

from __future__ import annotations

import time
from collections.abc import Sequence

from histoblend.errors import Refusal
from histoblend.reporting.networks_page import BUSY_CORES
from histoblend.trials.ground import Ground, description, make_job, planned_trial
from histoblend.trials.provenance import cores_of_others, machine, read_busy
from histoblend.trials.recipe import Trial
from histoblend.trials.record import Content, keep, kept_record
from histoblend.workspace import fingerprint

LENGTH = {"epochs", "samples_per_epoch"}  # what the measured rate decides


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
