"""One trial of a sweep: trained without fold 0, watched on an inner split cut from the other folds."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histoblend.config_experiment import Experiment
from histoblend.errors import ConfigRefusal
from histoblend.searching.feasible import fault_of_values
from histoblend.searching.opening import Opened
from histoblend.searching.trial_records import State, Trial
from histoblend.training.observer import Observer
from histoblend.training.task import Task
from histoblend.workspace import TaskFolder

if TYPE_CHECKING:
    from histoblend.searching.study import Proposal
    from histoblend.training.fit import FitJob

FOLD = 0  # left out of all trials, and not scored by them
HistoryRow = dict[str, float]


class _Stopped(Exception):
    """Ends a fit between two epochs."""

    def __init__(self, state: State, note: str) -> None:
        super().__init__(note)
        self.state, self.note = state, note


@dataclass
class Watch:
    """Looks at each epoch of a trial: a loss that is no number and a hopeless AUC end it."""

    hopeless: Callable[[int, float], bool]
    aucs: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def __call__(self, row: HistoryRow) -> None:
        """One more row of the history.

        Raises:
            _Stopped: the trial ends here.
        """
        self.seconds += row["seconds"]
        if not np.isfinite(row["loss"]):
            raise _Stopped("failed", f"the loss was no finite number in epoch {row['epoch']:.0f}")
        self.aucs.append(row["inner_auc"])
        if self.hopeless(len(self.aucs), self.aucs[-1]):
            raise _Stopped("pruned", f"below the median at epoch {len(self.aucs)}")


def watched(experiment: Experiment) -> Experiment:
    """`experiment` with its inner split scored after each epoch, whether or not its recipe needs it.

    A patience as long as the training never stops it; the weights that are kept are still those of the recipe.
    """
    training = experiment.training
    patience = training.epochs if training.stop_patience is None else training.stop_patience
    quiet = {"stop_patience": patience, "tensorboard": False, "save_model": False}
    return experiment.model_copy(update={"training": training.model_copy(update=quiet)})


def objective(experiment: Experiment, aucs: list[float]) -> float:
    """Inner-split AUC of the weights the recipe keeps: the last, or the best."""
    return max(aucs) if experiment.training.selection == "best" else aucs[-1]


def run_trial(
    number: int, proposal: Proposal, experiment: Experiment, ready: Opened, folder: Path, observer: Observer
) -> Trial:
    """Train one trial, from where it stood if it was killed; what fails is told by the trial's state.

    Its saved state stays (`forget_state`) until its record is written.

    Raises:
        MachineRefusal: weights or a process of the feed are missing, which is no fault of the values.
    """
    watch = Watch(proposal.hopeless)
    state: State = "failed"
    score, note = None, ""
    try:
        _fit(watched(experiment), ready, _states(folder), observer, watch)
        state, score = "finished", objective(experiment, watch.aucs)
    except _Stopped as stop:
        state, note = stop.state, stop.note
    except ConfigRefusal as refusal:
        note = refusal.found
    except Exception as error:
        found = fault_of_values(error)
        if found is None:
            raise
        note = found
    return Trial(number, proposal.values, state, score, watch.aucs, watch.seconds, note)


def forget_state(folder: Path) -> None:
    """Take away what an ended trial had saved."""
    shutil.rmtree(_states(folder), ignore_errors=True)


def _states(folder: Path) -> Path:
    """Where the trial that is running saves its state."""
    return folder / "state"


def _fit(experiment: Experiment, ready: Opened, scratch: Path, observer: Observer, watch: Watch) -> None:
    from histoblend.training.fit import fit
    from histoblend.training.network_task import fit_job

    def on_epoch(row: HistoryRow) -> None:
        observer.on_epoch(row)
        watch(row)

    record = ready.record(experiment)
    both = dataclasses.replace(observer, on_epoch=on_epoch)
    folder = TaskFolder(scratch / record.fingerprint)  # a state of other values is another's
    job = fit_job(Task(experiment, FOLD, folder, record.fingerprint, record.precision), ready.inputs, both)
    observer.on_start(experiment.training.epochs, job.feed.steps_per_epoch)
    for row in _earlier(job):
        watch(row)
    fit(job)


def _earlier(job: FitJob) -> list[HistoryRow]:
    """Epochs that a killed trial had done."""
    from histoblend.training.state import load_state

    return load_state(job.state_path, job.fingerprint).history if job.state_path.exists() else []
