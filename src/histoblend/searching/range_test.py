"""`histoblend lr-find`: a learning-rate range test of one experiment on the training folds of one fold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from histoblend.config_experiment import Experiment
from histoblend.config_files import configs_folder, load_experiment
from histoblend.config_training import Schedule
from histoblend.errors import ConfigRefusal
from histoblend.pipeline import resolved_precision
from histoblend.preparation import Request, prepare
from histoblend.reporting.progress import Display
from histoblend.reporting.time_left import TimeLeft
from histoblend.searching.learning_rate import RangeCurve, has_diverged, rising_rates, smoothed
from histoblend.searching.opening import Opened, opened, planned_as, refuse_estimators, run_of
from histoblend.searching.range_plot import write_range_plot
from histoblend.training.observer import Observer
from histoblend.training.task import Task
from histoblend.workspace import TaskFolder, write_csv

if TYPE_CHECKING:
    from histoblend.training.fit import FitJob

FEWEST_STEPS = 30
FOLDER = "lr-find"  # of plots, in the output folder


@dataclass(frozen=True)
class Rise:
    """How the learning rate rises: from `first` to `last` in `steps` steps."""

    first: float = 1e-6
    last: float = 1.0
    steps: int = 300


@dataclass(frozen=True)
class RangeRequest:
    """What the user typed: an experiment by name or path, the run it belongs to, the fold that is left out."""

    experiment: str
    run: Request
    fold: int = 0
    to: Path | None = None
    rise: Rise = Rise()


def find_learning_rate(request: RangeRequest, display: Display, environment: Mapping[str, str]) -> RangeCurve:
    """Raise the learning rate step by step until the loss diverges; write the curve and say what it suggests.

    Raises:
        ConfigRefusal: an experiment without a network, or rates that do not rise.
        Refusal: something stands in the way, as for a run.
    """
    _check(request, environment)
    prepared = prepare(run_of(request.experiment, request.run, request.fold), display, environment)
    experiment = planned_as(prepared, Path(request.experiment).stem).experiment
    with opened(prepared, display) as ready:
        job = _job(experiment, ready, request.fold)
        rates = rising_rates(request.rise.first, request.rise.last, request.rise.steps)
        with display.counting(f"Raising the learning rate of {experiment.name}") as count:
            losses = stepped_losses(job, rates, TimeLeft(count, display.tell))
    mark = " (SYNTHETIC patches)" if prepared.competition.synthetic else ""
    curve = RangeCurve(f"{experiment.name}, without fold {request.fold}{mark}", rates[: len(losses)], losses)
    name = f"{experiment.name}_fold_{request.fold}.png"
    picture = request.to or prepared.workspace.folder / FOLDER / name
    write_csv(picture.with_suffix(".csv"), curve_table(curve))
    write_range_plot(picture, curve, experiment.optimizer.learning_rate)
    for line in conclusions(curve, experiment, len(losses) < len(rates)):
        display.tell(line)
    display.tell(f"Plot: {picture}  Curve: {picture.with_suffix('.csv')}")
    return curve


def _check(request: RangeRequest, environment: Mapping[str, str]) -> None:
    rise = request.rise
    if not 0 < rise.first < rise.last or rise.steps < FEWEST_STEPS:
        raise ConfigRefusal(
            f"{rise.steps} steps from {rise.first:g} to {rise.last:g} are no range test.",
            f"0 < --lowest < --highest, and {FEWEST_STEPS} --steps or more",
        )
    if request.to is not None and request.to.suffix.lower() != ".png":
        raise ConfigRefusal(f"--to {request.to}: the plot is a PNG.", "a name ending in .png")
    experiment = load_experiment(request.experiment, configs_folder(environment))
    refuse_estimators(experiment, "it takes no steps, so there is no learning rate to find")


def _job(experiment: Experiment, ready: Opened, fold: int) -> FitJob:
    """The fit of this fold's task: its batches come from the other folds, the fold itself is never read."""
    from histoblend.training.network_task import fit_job

    unwritten = TaskFolder(ready.prepared.workspace.folder / FOLDER)
    task = Task(experiment, fold, unwritten, "", resolved_precision(experiment, ready.prepared))
    return fit_job(task, ready.inputs, Observer())


def stepped_losses(job: FitJob, rates: np.ndarray, progress: Callable[[int, int], None]) -> list[float]:
    """Loss of one step at each of `rates`, of one network trained throughout; ends where it has diverged.

    Optimizer, loss, class weights, batches and augmentation are those of the job; its schedule and stages are
    left out: all layers learn, each at its share of the rate (`optimizer.first_layer_rate`).
    """
    from histoblend.training.depth import network_parts, rate_shares
    from histoblend.training.fit import build_model, compile_model, keras_feed

    settable = Schedule(name="plateau")  # the one schedule whose rate is set from outside, and not by a table
    job = dataclasses.replace(job, experiment=job.experiment.model_copy(update={"schedule": settable}))
    model = build_model(job.experiment, job.precision, job.problem)
    first = job.experiment.optimizer.first_layer_rate
    shares = None if first == 1 else rate_shares(network_parts(model), first, model.trainable_variables)
    compile_model(model, job, shares=shares)
    feed = keras_feed(job, 0)
    losses: list[float] = []
    for step, rate in enumerate(rates):
        model.optimizer.learning_rate = rate
        losses.append(float(model.train_on_batch(*feed[step], return_dict=True)["loss"]))
        progress(step + 1, len(rates))
        if has_diverged(losses):
            break
    return losses


def curve_table(curve: RangeCurve) -> pd.DataFrame:
    """step, learning_rate, loss, smoothed (empty where the loss is no number)."""
    steps = np.arange(1, len(curve.losses) + 1)
    table = pd.DataFrame({"step": steps, "learning_rate": curve.rates, "loss": curve.losses})
    return table.assign(smoothed=pd.Series(smoothed(curve.losses)))


def conclusions(curve: RangeCurve, experiment: Experiment, diverged: bool) -> list[str]:
    """What the test found, what the experiment says now, and how to take what was found."""
    optimizer, reached, found = experiment.optimizer, curve.rates[-1], curve.suggestion
    lines = [f"The loss did not diverge up to {reached:.2g}."]
    if diverged or not np.isfinite(curve.losses[-1]):
        lines = [f"The loss diverged at {reached:.2g}, after {len(curve.losses)} steps."]
    lines.append(
        f"{experiment.name} has optimizer.learning_rate {optimizer.learning_rate:.2g} now: {optimizer.name}, the "
        f"highest of its {experiment.schedule.name} schedule."
    )
    if found is None:
        return [*lines, "The loss never fell, so nothing is suggested. To do: more --steps or another range."]
    lines.append(
        f"Suggested: {found.steepest:.2g} (steepest descent) or {found.tenth:.2g} (a tenth of {found.lowest:.2g}, "
        "where the loss is lowest). An order of magnitude, no more: compare by OOF AUC."
    )
    ways = [f"--set optimizer.learning_rate={rate:.2g}" for rate in (found.steepest, found.tenth)]
    return [*lines, f"To take it: {' or '.join(ways)}, in run or init."]
