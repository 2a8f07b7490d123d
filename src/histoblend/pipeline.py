"""The run: competition -> pack -> folds -> tasks -> blend -> ranking -> submission."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from histoblend.blending.ensemble import BlendInputs, ensemble_name, write_ensembles
from histoblend.blending.members import Member
from histoblend.competition.layouts import Competition
from histoblend.competition.source import Source, draw_source, find_source
from histoblend.config import Experiment, Plan, configs_folder, load_plan, plan_experiments
from histoblend.data.batches import FeedWorkers
from histoblend.data.pack import Pack, check_space, estimate_pack, find_pack, pack
from histoblend.data.split import Split, make_split
from histoblend.errors import ConfigRefusal, some
from histoblend.execution.collect import Metrics, collect_experiment
from histoblend.execution.device import Device, gpu_names, prepare_device, processor_count
from histoblend.execution.in_process import Job, run_jobs
from histoblend.execution.preflight import PlannedExperiment, check_machine, plan_work, resolve_slides
from histoblend.execution.records import make_record, read_record, started_record
from histoblend.inference.tables import read_out_of_fold, read_test
from histoblend.reporting.progress import Display, duration
from histoblend.reporting.ranking import printed_ranking, ranking_table
from histoblend.reporting.task_table import printed_tasks
from histoblend.training.task import TaskInputs, is_done
from histoblend.workspace import Workspace, locked, on_kaggle, scratch_folder, write_csv, write_json

SMALL = 20_000  # labelled patches up to which five folds of small networks are a laptop's work


@dataclass(frozen=True)
class Request:
    """What the user typed."""

    plan: str | None = None
    data: Path | None = None
    output: Path | None = None
    experiments: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True)
class Prepared:
    """A run before its first task: what it works on, what it will do, and on what."""

    workspace: Workspace
    scratch: Path
    source: Source
    plan: Plan
    experiments: list[Experiment]
    folds: tuple[int, ...]
    device: Device
    planned: list[PlannedExperiment]

    @property
    def competition(self) -> Competition:
        """The competition worked on."""
        return self.source.competition


def run(
    request: Request, display: Display, environment: Mapping[str, str] = os.environ
) -> pd.DataFrame | None:
    """Do what was asked for, as far as it is not done yet.

    Returns:
        The ranking; None for a dry run.

    Raises:
        Refusal: something stands in the way; what is finished is kept.
    """
    prepared = prepare(request, display, environment)
    if request.dry_run:
        preview(prepared, display)
        return None
    with locked(prepared.workspace):
        packed = open_pack(prepared, display)
        split = make_split(prepared.workspace, prepared.competition, packed, prepared.plan.folds)
        display.tell(split.sentence)
        jobs = make_jobs(prepared, packed, split)
        note_run(prepared, packed, split)
        finished = train_all(jobs, prepared, packed, split, display)
        metrics = collect_all(prepared, packed, split)
        blends = blend_all(metrics, prepared, packed, split, display)
        ranking = rank_all([*metrics, *blends], prepared.workspace, display)
        conclude(prepared, blends, finished, display)
    return ranking


def prepare(request: Request, display: Display, environment: Mapping[str, str]) -> Prepared:
    """Find the data, choose the plan, look at device, weights, disk and memory."""
    configs = configs_folder(environment)
    project = configs.parent
    source = find_source(request.data, environment, project / "input")
    plan = choose_plan(request, source, configs, display)
    source = source or draw_missing(project / "input" / "synthetic", plan, display)
    introduce(source, display)
    experiments = chosen_experiments(plan, request, configs)
    folds = chosen_folds(plan, request)
    workspace = Workspace((request.output or default_output(project, environment)).absolute())
    device = prepare_device(plan.execution)
    patches = (len(source.competition.train), len(source.competition.test))
    planned = plan_work(experiments, plan.tta, patches, plan.folds.count)
    sentences = check_machine(planned, plan.folds.count, patches, workspace.root, device)
    display.tell(f"Device: {device.name}, {device.threads} threads, {device.precision} by default.")
    display.tell(f"Preflight: {resolve_slides(source.competition, plan.folds)}; {'; '.join(sentences)}.")
    scratch = scratch_folder(workspace, environment)
    return Prepared(workspace, scratch, source, plan, experiments, folds, device, planned)


def choose_plan(request: Request, source: Source | None, configs: Path, display: Display) -> Plan:
    """The plan that was named, or the one that fits data and device, saying why."""
    if request.plan is not None:
        return load_plan(request.plan, configs, request.settings)
    name, why = fitting_plan(source, bool(gpu_names()))
    display.tell(f"Plan: {name}, because {why}. Others: histoblend run PLAN.")
    return load_plan(name, configs, request.settings)


def fitting_plan(source: Source | None, gpu: bool) -> tuple[str, str]:
    """Name of the plan for this data and device, and the reason."""
    if source is None or source.competition.synthetic:
        return "quick", "the patches are synthetic"
    count = len(source.competition.train)
    if gpu and count > SMALL:
        return "kaggle", f"a GPU is visible and {count:,} real patches are there"
    if count <= SMALL:
        return "mini", f"there are {count:,} real patches"
    return "quick", f"there are {count:,} real patches and no GPU is visible"


def draw_missing(folder: Path, plan: Plan, display: Display) -> Source:
    """Draw the synthetic competition, since there is no data."""
    display.warn(f"No data found (--data, HISTOBLEND_DATA, Kaggle mounts, {folder.parent}).")
    with display.counting(f"Drawing a SYNTHETIC competition into {folder}") as count:
        return draw_source(folder, plan.synthetic, count)


def introduce(source: Source, display: Display) -> None:
    """First lines: what data this is and why it was taken."""
    competition = source.competition
    if competition.synthetic:
        display.warn(
            "SYNTHETIC data: drawn patches, for trying the pipeline. Scores say nothing about real tissue."
        )
    share = competition.positives / len(competition.train)
    display.tell(
        f"Data: {competition.root} ({source.reason.rstrip('.')}): {len(competition.train):,} training patches, "
        f"{share:.1%} positive, {len(competition.test):,} test patches."
    )
    for note in competition.notes:
        display.tell(f"Note: {note}")


def default_output(project: Path, environment: Mapping[str, str]) -> Path:
    """`/kaggle/working/output` on Kaggle, else the project's `output/`."""
    return Path("/kaggle/working/output") if on_kaggle(environment) else project / "output"


def chosen_experiments(plan: Plan, request: Request, configs: Path) -> list[Experiment]:
    """The plan's experiments, or those of them that were asked for.

    Raises:
        ConfigRefusal: one that was asked for is not in the plan.
    """
    experiments = plan_experiments(plan, configs)
    names = [experiment.name for experiment in experiments]
    if unknown := [name for name in request.experiments if name not in names]:
        raise ConfigRefusal(
            f"Plan {plan.name} has no experiment {some(unknown)}.", f"some of {', '.join(names)}"
        )
    return [one for one in experiments if not request.experiments or one.name in request.experiments]


def chosen_folds(plan: Plan, request: Request) -> tuple[int, ...]:
    """All folds, or those that were asked for.

    Raises:
        ConfigRefusal: one that was asked for does not exist.
    """
    everything = tuple(range(plan.folds.count))
    if unknown := [fold for fold in request.folds if fold not in everything]:
        raise ConfigRefusal(f"There is no fold {some(unknown)}.", f"folds from 0 to {plan.folds.count - 1}")
    return tuple(sorted(set(request.folds))) or everything


def preview(prepared: Prepared, display: Display) -> None:
    """The dry run: the task table and what packing would take."""
    check_space(prepared.competition, prepared.scratch)
    size, seconds = estimate_pack(prepared.competition)
    known = find_pack(prepared.competition, prepared.scratch)
    state = (
        "packed already" if known else f"packing takes about {duration(seconds)} and {size / 2**30:.2f} GiB"
    )
    display.tell(f"Pixels: {state} ({prepared.scratch}).")
    display.show(printed_tasks(prepared.planned, prepared.folds, prepared.device, prepared.workspace))
    display.tell("Dry run: nothing was trained, nothing was written.")


def open_pack(prepared: Prepared, display: Display) -> Pack:
    """The decoded patches."""
    with display.counting("Decoding patches") as count:
        packed = pack(prepared.competition, prepared.scratch, processor_count(), count)
    display.tell(f"Pixels: {packed.note} Data fingerprint {packed.fingerprint}.")
    return packed


def make_jobs(prepared: Prepared, packed: Pack, split: Split) -> list[Job]:
    """Every task that was asked for, experiment by experiment; a changed experiment stops here."""
    jobs = []
    for planned in prepared.planned:
        folder = prepared.workspace.experiment(planned.experiment.name)
        wanted = planned.experiment.precision
        precision = prepared.device.precision if wanted == "auto" else wanted
        data = {"data": packed.fingerprint, "data_set": prepared.competition.name, "folds": split.fingerprint}
        record = started_record(folder, make_record(planned.experiment, planned.views, precision, data))
        estimate = planned.work.seconds(prepared.device.kind, prepared.device.threads)
        jobs += [Job(planned, folder, fold, record, estimate) for fold in prepared.folds]
    return jobs


def note_run(prepared: Prepared, packed: Pack, split: Split) -> None:
    """Keep what this run worked on and with."""
    packages = ["tensorflow", "keras", "numpy", "pandas", "scikit-learn", "albumentations", "histoblend"]
    write_json(
        prepared.workspace.run_record,
        {
            "started": time.strftime("%Y-%m-%d %H:%M:%S"),
            "plan": prepared.plan.model_dump(mode="json"),
            "data": {
                "root": prepared.competition.root,
                "fingerprint": packed.fingerprint,
                "synthetic": prepared.competition.synthetic,
                "notes": prepared.competition.notes,
            },
            "folds": {"fingerprint": split.fingerprint, "policy": split.policy, "sentence": split.sentence},
            "device": {"name": prepared.device.name, "threads": prepared.device.threads},
            "weights": {one.experiment.name: one.weights for one in prepared.planned},
            "versions": {"python": platform.python_version()} | {name: installed(name) for name in packages},
        },
    )


def installed(package: str) -> str:
    """A package's version, or a dash where it runs from a checkout or under another name."""
    try:
        return version(package)
    except ModuleNotFoundError:
        return "-"


def train_all(jobs: Sequence[Job], prepared: Prepared, packed: Pack, split: Split, display: Display) -> bool:
    """Run what is not done yet; False if the budget ran out before all was."""
    waiting = [job for job in jobs if not is_done(job.tasks_folder, job.record.fingerprint, display.tell)]
    if len(waiting) < len(jobs):
        display.tell(f"{len(jobs) - len(waiting)} of {len(jobs)} tasks are done already.")
    if not waiting:
        return True
    display.show(printed_tasks(prepared.planned, prepared.folds, prepared.device, prepared.workspace))
    workers = FeedWorkers(prepared.device.workers)
    try:
        inputs = TaskInputs(prepared.workspace, packed, split.folds, prepared.device, workers, display.tell)
        return run_jobs(waiting, inputs, prepared.plan.budget_seconds, display)
    finally:
        workers.close()


def collect_all(prepared: Prepared, packed: Pack, split: Split) -> list[Metrics]:
    """Tables and metrics of every experiment of the run that has a finished fold."""
    collected = [
        collect_experiment(
            prepared.workspace.experiment(experiment.name),
            "yardstick" if experiment.role == "yardstick" else "experiment",
            split.folds,
            packed.test["id"],
            solution(prepared.competition),
            about(experiment, prepared, packed, split),
        )
        for experiment in prepared.experiments
    ]
    return [metrics for metrics in collected if metrics is not None]


def about(experiment: Experiment | None, prepared: Prepared, packed: Pack, split: Split) -> dict[str, object]:
    """What stands beside the scores of an experiment or a blend in the ranking."""
    return {
        "slides_policy": split.policy,
        "inner_split": experiment is not None and experiment.needs_inner_split,
        "data_set": prepared.competition.name,
        "synthetic": prepared.competition.synthetic,
        "config_fingerprint": record_fingerprint(experiment, prepared.workspace) if experiment else "",
        "data_fingerprint": packed.fingerprint,
        "folds_fingerprint": split.fingerprint,
    }


def record_fingerprint(experiment: Experiment, workspace: Workspace) -> str:
    """The fingerprint an experiment started with."""
    return read_record(workspace.experiment(experiment.name)).fingerprint


def solution(competition: Competition) -> pd.DataFrame | None:
    """Test labels of a synthetic competition."""
    return None if competition.solution is None else pd.read_csv(competition.solution, dtype={"id": str})


def blend_all(
    metrics: Sequence[Metrics], prepared: Prepared, packed: Pack, split: Split, display: Display
) -> list[Metrics]:
    """Blend the complete experiments; none if there is none."""
    names = [one.name for one in metrics if one.complete and one.kind == "experiment"]
    left_out = [one.name for one in metrics if not one.complete]
    if left_out:
        display.tell(f"Partial, so not blended: {some(left_out)}.")
    if not names:
        return []
    ids = packed.test["id"]
    folders = {name: prepared.workspace.experiment(name) for name in names}
    members = [
        Member(
            name, read_out_of_fold(one.out_of_fold, split.folds), read_test(one.test, ids), split.fingerprint
        )
        for name, one in folders.items()
    ]
    competition = prepared.competition
    inputs = BlendInputs(
        prepared.workspace,
        split.folds,
        ids,
        competition.sample,
        solution(competition),
        prepared.plan.submission.scale,
        about(None, prepared, packed, split),
    )
    return write_ensembles(members, inputs)


def rank_all(metrics: Sequence[Metrics], workspace: Workspace, display: Display) -> pd.DataFrame:
    """Write and print the ranking."""
    table = ranking_table(metrics)
    write_csv(workspace.ranking, table)
    if len(table):
        display.show(printed_ranking(table))
    return table


def conclude(prepared: Prepared, blends: Sequence[Metrics], finished: bool, display: Display) -> None:
    """Put the chosen blend's submission on top, and say where everything is."""
    chosen = prepared.workspace.ensemble(ensemble_name(prepared.plan.blend.rule)).submission
    if not finished:
        display.warn(f"Budget of {prepared.plan.budget} used up; the same command goes on with what is left.")
    if not blends:
        display.warn("No experiment is complete, so there is no submission yet.")
        return
    submission = pd.read_csv(chosen, dtype={0: str}, float_precision="round_trip")
    write_csv(prepared.workspace.submission, submission)
    mark = "SYNTHETIC, not for the leaderboard: " if prepared.competition.synthetic else ""
    display.tell(f"{mark}Submission: {prepared.workspace.submission} ({len(submission):,} ids)")
    display.tell(f"Ranking: {prepared.workspace.ranking}")
