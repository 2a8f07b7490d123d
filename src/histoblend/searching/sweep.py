"""`histoblend sweep`: trials over a declared space, then the best of them and the unchanged base on all folds.

A trial is trained on all folds but the first, less an inner split cut from them, and compared by its AUC there. The
first fold is scored by no trial: what decides never sees what is reported.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from histoblend.config_experiment import Experiment
from histoblend.config_files import configs_folder, load_experiment
from histoblend.errors import ConfigRefusal
from histoblend.execution.clock import Clock, Estimate
from histoblend.execution.costs import task_work
from histoblend.execution.preflight import PlannedExperiment, available_memory
from histoblend.preparation import Prepared, Request, prepare
from histoblend.reporting.progress import Display, duration
from histoblend.searching.confirmation import Winner, confirm
from histoblend.searching.feasible import obstacle
from histoblend.searching.opening import Opened, opened, planned_as, refuse_estimators, run_of
from histoblend.searching.space import Values, base_values, check_space, refuse_students, trial_experiment
from histoblend.searching.study import Proposal, check_optuna, propose
from histoblend.searching.sweep_config import Sweep, load_sweep, same
from histoblend.searching.sweep_record import keep_or_compare
from histoblend.searching.sweep_report import printed_space, printed_trials, trial_line, write_reports
from histoblend.searching.trial_records import Trial, best_trial, read_trials, sweep_folder, write_trial
from histoblend.searching.trials import FOLD, forget_state, run_trial
from histoblend.training.observer import Observer


@dataclass(frozen=True)
class SweepRequest:
    """What the user typed: a sweep or an experiment by name or path, and the run it belongs to."""

    sweep: str
    run: Request
    trials: int | None = None
    confirm: bool = True


@dataclass(frozen=True)
class Search:
    """A sweep on the data and plan of a run."""

    sweep: Sweep
    prepared: Prepared
    configs: Path
    trials: int
    free_memory: float | None = None
    """Bytes of main memory before the first trial; None where the system does not tell."""

    @property
    def base(self) -> PlannedExperiment:
        """The base as the plan has it."""
        return planned_as(self.prepared, self.sweep.base)

    @property
    def folder(self) -> Path:
        """Where the sweep keeps everything."""
        return sweep_folder(self.prepared.workspace, self.sweep.name)

    def experiment(self, values: Values) -> Experiment:
        """The experiment of a trial with these values."""
        return trial_experiment(self.sweep, values, self.configs, self.prepared.plan.overrides)

    def seconds(self) -> tuple[float, float]:
        """Estimates: one trial to its end, and all folds and seeds of the base, at the base's size."""
        prepared, base = self.prepared, self.base
        device, trial = prepared.device, self.experiment({})
        outer = len(prepared.competition.train) * (prepared.plan.folds.count - 1) // prepared.plan.folds.count
        inner = int(outer * trial.training.inner_fraction)
        sizes = (outer - inner, inner * trial.training.epochs, 0)
        one = task_work(trial, base.work.network, sizes, 1).seconds(device.kind, device.threads)
        tasks = prepared.plan.folds.count * len(prepared.planned)
        return one, base.work.seconds(device.kind, device.threads) * tasks


def run_sweep(request: SweepRequest, display: Display, environment: Mapping[str, str]) -> list[Trial]:
    """Run the trials that have not ended yet, write table and plot, confirm the winner on all folds.

    Raises:
        Refusal: the space, the data or the machine stand in the way; a sweep that is there was another one.
    """
    search = _opened_search(request, display, environment)
    if request.run.dry_run:
        _preview(search, display)
        return []
    check_optuna()
    with opened(search.prepared, display) as ready:
        keep_or_compare(search.sweep, ready.record(search.experiment({})), search.folder)
        trials = _run_trials(search, ready, display)
    best = best_trial(trials)
    display.show(printed_trials(search.sweep, trials, best))
    synthetic = search.prepared.competition.synthetic
    display.tell(f"Trials: {write_reports(search.folder, search.sweep, trials, synthetic)}")
    if best is None:
        raise ConfigRefusal(
            f"None of the {len(trials)} trials finished; the last says: {trials[-1].note}.",
            "a trial that finishes",
            "mend the space (a lower optimizer.learning_rate?) and give the sweep another name.",
        )
    if request.confirm:
        confirm(Winner(search.sweep, best), search.prepared, request.run, display, environment)
    return trials


def _opened_search(request: SweepRequest, display: Display, environment: Mapping[str, str]) -> Search:
    configs = configs_folder(environment)
    sweep = load_sweep(request.sweep, configs)
    trials = sweep.trials if request.trials is None else request.trials
    if trials < 1:
        raise ConfigRefusal(f"--trials {trials}: there is nothing to search with.", "1 trial or more")
    base = load_experiment(sweep.base, configs)
    refuse_estimators(base, "its trials would have no epochs to watch")
    refuse_students(base)
    prepared = prepare(run_of(sweep.base, request.run, FOLD), display, environment)
    check_space(sweep, configs, prepared.plan.overrides)
    return Search(sweep, prepared, configs, trials, available_memory())


def _preview(search: Search, display: Display) -> None:
    display.show(printed_space(search.sweep, search.base.experiment))
    trial, confirming = search.seconds()
    folds, seeds = search.prepared.plan.folds.count, len(search.prepared.planned)
    display.tell(
        f"{search.trials} trials of about {duration(trial)} each, less where they are stopped early: "
        f"{duration(search.trials * trial)} at most; then base and winner on {folds} folds"
        f"{f' with {seeds} seeds' if seeds > 1 else ''}: {duration(2 * confirming)}. "
        f"Estimates on {search.prepared.device.name}, at the base's size."
    )
    display.tell("Dry run: nothing was trained.")


def _run_trials(search: Search, ready: Opened, display: Display) -> list[Trial]:
    sweep, trials = search.sweep, read_trials(search.folder)
    first = base_values(sweep, search.base.experiment)
    if first is None:
        display.tell(f"{sweep.base} lies outside of the space, so no trial is the unchanged base.")
    if trials:
        display.tell(f"{len(trials)} trials have ended already.")
    estimate = Estimate(sweep.name, "keras", search.seconds()[0])
    clock = Clock([estimate] * max(0, search.trials - len(trials)))
    while len(trials) < search.trials:
        trials.append(_next_trial(search, ready, trials, first, (display, clock)))
        display.tell(
            trial_line(trials[-1], search.trials, best_trial(trials))
            + f", left about {duration(clock.left())}"
        )
    forget_state(search.folder)  # where a kill fell between the last record and this
    return trials


def _next_trial(
    search: Search, ready: Opened, ended: list[Trial], first: Values | None, told: tuple[Display, Clock]
) -> Trial:
    display, clock = told
    number, started = len(ended) + 1, time.monotonic()
    proposal = propose(search.sweep, search.experiment({}).training.epochs, ended, first)
    twin = next((one for one in ended if same(one.values, proposal.values)), None)
    if twin is not None:  # training is deterministic, so it would end the same
        note = f"same values as trial {twin.number}" + (f": {twin.note}" if twin.note else "")
        trial = dataclasses.replace(twin, number=number, seconds=0.0, note=note)
    else:
        with display.training(f"[{number}/{search.trials}] {search.sweep.name}", clock) as observer:
            trial = _trained(number, proposal, search, ready, observer)
    write_trial(search.folder, trial)
    forget_state(search.folder)  # only now: killed in between, the trial would have to be made again
    clock.finish(time.monotonic() - started)
    return trial


def _trained(number: int, proposal: Proposal, search: Search, ready: Opened, observer: Observer) -> Trial:
    try:
        experiment = search.experiment(proposal.values)
    except ConfigRefusal as refusal:  # each value is taken, but not all of them together
        return Trial(number, proposal.values, "failed", note=refusal.found)
    if note := obstacle(experiment, search.base, search.prepared, search.free_memory):
        return Trial(number, proposal.values, "failed", note=note)
    return run_trial(number, proposal, experiment, ready, search.folder, observer)
