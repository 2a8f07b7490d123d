"""The run: competition -> pack -> folds -> tasks -> blend -> ranking -> submission."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import pandas as pd

from histoblend.config_experiment import Experiment
from histoblend.data.duplicates import shared_pixels
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.odd_files import odd_counts, odd_sentence
from histoblend.data.pack import Pack, find_pack, pack
from histoblend.data.pack_space import check_space, estimate_pack
from histoblend.data.split import Split, SplitSettings, check_split, make_split
from histoblend.errors import Refusal, some
from histoblend.execution.device import processor_count
from histoblend.execution.in_process import run_jobs
from histoblend.execution.in_processes import run_jobs_in_processes
from histoblend.execution.jobs import Job, task_estimates
from histoblend.execution.records import (
    ABOUT_DATA,
    Record,
    check_teachers_data,
    make_record,
    read_record,
    started_record,
    teacher_fingerprints,
)
from histoblend.execution.session_budget import Outcome, SessionBudget
from histoblend.execution.sources import earlier_sources, run_sources
from histoblend.external.members import external_members, refuse_external
from histoblend.kaggle.session_limit import within_limit
from histoblend.preparation import Prepared, Request, prepare
from histoblend.reporting.progress import Display, duration
from histoblend.reporting.task_table import printed_tasks
from histoblend.results import (
    blend_all,
    collect_all,
    conclude,
    rank_all,
    scoring_of,
    write_ranking,
)
from histoblend.sessions import Session, note_paused, open_session, take_note, tell_paused, tell_projection
from histoblend.training.task import TaskInputs, is_done
from histoblend.training.teachers import check_tables
from histoblend.workspace import Workspace, locked, on_kaggle, write_json

PACKAGES = ("histoblend", "tensorflow", "keras", "numpy", "pandas", "scikit-learn", "albumentations")


def run(
    request: Request, display: Display, environment: Mapping[str, str] = os.environ, *, blending: bool = True
) -> pd.DataFrame | None:
    """Do what was asked for, as far as it is not done yet.

    Args:
        blending: False ends with the ranking; blends and submission stay as they are.

    Returns:
        The ranking; None for a dry run.

    Raises:
        Refusal: something stands in the way; what is finished is kept.
        TaskError: a task failed. All that could be made beside it is made first; so it is where memory ran out.
    """
    started = time.monotonic()
    prepared = prepare(request, display, environment, side_by_side=True)
    if on_kaggle(environment):
        prepared = replace(prepared, plan=within_limit(prepared.plan, display.tell))
    session = open_session(prepared, environment, started, request.settings)
    if request.dry_run:
        preview(session, display)
        return None
    with locked(prepared.workspace):
        packed = open_pack(prepared, display)
        split = open_split(prepared, packed, display)
        jobs = make_jobs(prepared, packed, split)
        note_run(prepared, packed, split)
        inputs = task_inputs(prepared, packed, split, display)
        budget = session.budget()
        earlier = take_note(prepared.workspace)
        outcome = train_all(jobs, inputs, budget, prepared, display)
        paused = note_paused(session, outcome, budget, earlier)
        scoring = scoring_of(prepared, packed, split)
        others = [(one, fresh_record(one, prepared, packed, split)) for one in prepared.others]
        metrics = collect_all(prepared, others, scoring, display)
        added = external_members(prepared.workspace, scoring)
        ranked = [*metrics, *(one.metrics for one in added)]
        write_ranking(ranked, prepared.workspace)  # whatever the blend may meet, the scores are kept
        blends = blend_all(metrics, added, prepared, scoring, display) if blending else []
        ranking = rank_all([*ranked, *blends], prepared.workspace, display)
        display.tell(f"Ranking: {prepared.workspace.ranking}")
        if blending:
            conclude(prepared, blends, display)
    if blending:
        report(prepared, request, display, environment)
    outcome.raise_failure()
    if paused is not None:
        tell_paused(paused, display)
    return ranking


def report(prepared: Prepared, request: Request, display: Display, environment: Mapping[str, str]) -> None:
    """Write the page about this output folder; where it cannot be, say why: the submission stands."""
    if not prepared.plan.report:
        return
    # late: plots and templates take a second to load
    from histoblend.report_page import ReportRequest, write_report

    asked = ReportRequest(prepared.workspace.folder, request.data)
    try:
        path = write_report(asked, display, environment)
    except Refusal as refusal:
        display.warn(f"No report was written, all else was. {refusal}")
    else:
        display.tell(f"Report: {path}")


def preview(session: Session, display: Display) -> None:
    """The dry run: the task table, what packing would take, and how many sessions of the budget."""
    prepared = session.prepared
    competition, settings = prepared.competition, prepared.plan.data
    check_space(competition, prepared.scratch, settings)
    size, seconds = estimate_pack(competition, settings)
    known = find_pack(competition, prepared.scratch, settings)
    split = SplitSettings(prepared.plan.folds, settings)
    check_split(prepared.workspace, competition, known.fingerprint if known else None, split)
    check_records(prepared)
    needed = f"packing takes about {duration(seconds)} and {size / 2**30:.2f} GiB"
    display.tell(f"Pixels: {'packed already' if known else needed} ({prepared.scratch}).")
    display.show(printed_tasks(prepared.planned, prepared.folds, prepared.device, prepared.workspace))
    tell_projection(session, display)
    display.tell("Dry run: nothing was trained, and no pixel was looked at.")


def check_records(prepared: Prepared) -> None:
    """Refuse experiments that have changed since they were started, by their settings alone.

    Raises:
        ArtifactRefusal: one has.
    """
    for planned in prepared.planned:
        folder = prepared.workspace.experiment(planned.experiment.name)
        if not folder.config.exists():
            continue
        refuse_external(folder)
        old = read_record(folder)
        data = {key: old.content.get(key) for key in ("data", "folds", *ABOUT_DATA)}
        precision = resolved_precision(planned.experiment, prepared)
        found = teacher_fingerprints(planned.experiment, prepared.workspace)
        before = old.content.get("teachers", {})  # of a teacher that is to be trained again nothing is known
        teachers = {name: known or before.get(name) for name, known in found.items()}
        fresh = make_record(planned.experiment, planned.views, precision, data, teachers)
        if any(folder.folder.glob("fold_*")):
            started_record(folder, fresh)


def resolved_precision(experiment: Experiment, prepared: Prepared) -> str:
    """The precision an experiment would start with now."""
    return prepared.device.precision if experiment.precision == "auto" else experiment.precision


def open_pack(prepared: Prepared, display: Display) -> Pack:
    """The decoded patches."""
    with display.counting("Decoding patches") as count:
        packed = pack(prepared.competition, prepared.scratch, processor_count(), count, prepared.plan.data)
    display.tell(f"Pixels: {packed.note} Data fingerprint {packed.fingerprint}.")
    if sentence := odd_sentence(odd_counts(packed.odd_files)):
        display.tell(sentence)
    return packed


def open_split(prepared: Prepared, packed: Pack, display: Display) -> Split:
    """The folds, and what was done with odd patches before they were made."""
    settings = SplitSettings(prepared.plan.folds, prepared.plan.data)
    with display.counting("Looking for near duplicates") as count:
        split = make_split(prepared.workspace, prepared.competition, packed, settings, count)
    known = prepared.competition.known_labels
    if known is not None:
        tell_shared(packed, known["id"], display)
    for sentence in (*split.handling, f"{split.sentence} Folds fingerprint {split.fingerprint}."):
        display.tell(sentence)
    return split


def tell_shared(packed: Pack, known: pd.Series, display: Display) -> None:
    """Warn where test patches that are scored have the pixels of training patches."""
    shared = shared_pixels(packed.train, packed.test[packed.test["id"].isin(known)])
    if shared:
        display.warn(
            f"{len(shared):,} of the {len(known):,} scored test patches have the pixels of a training patch: "
            f"their AUC reads too high ({some(shared)})."
        )


def fresh_record(experiment: Experiment, prepared: Prepared, packed: Pack, split: Split) -> Record:
    """The record of an experiment as it would start now."""
    precision = resolved_precision(experiment, prepared)
    data = {
        "data": packed.fingerprint,
        "data_set": prepared.competition.name,
        "synthetic": prepared.competition.synthetic,
        "side": packed.side,
        "classes": list(prepared.competition.classes),
        "folds": split.fingerprint,
    }
    teachers = teacher_fingerprints(experiment, prepared.workspace)
    return make_record(experiment, experiment.views_shown(prepared.plan.tta), precision, data, teachers)


def make_jobs(prepared: Prepared, packed: Pack, split: Split) -> list[Job]:
    """Every task that was asked for, experiment by experiment, teachers first; a changed one stops here."""
    jobs = []
    for planned in prepared.planned:
        folder = prepared.workspace.experiment(planned.experiment.name)
        refuse_external(folder)
        record = started_record(folder, fresh_record(planned.experiment, prepared, packed, split))
        check_teachers_data(record, prepared.workspace)
        estimates = task_estimates(planned, prepared.folds, prepared.device, folder)
        jobs += [Job(planned, folder, one.fold, record, one) for one in estimates]
    return jobs


def note_run(prepared: Prepared, packed: Pack, split: Split) -> None:
    """Keep what this run worked on and with."""
    competition = prepared.competition
    weights = {one.experiment.name: one.weights for one in prepared.planned}
    content = {
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "plan": prepared.plan.model_dump(mode="json"),
        "data": {
            "root": competition.root,
            "name": competition.name,
            "fingerprint": packed.fingerprint,
            "synthetic": competition.synthetic,
            "layout": competition.layout,
            "classes": competition.class_counts(),
            "odd_files": odd_counts(packed.odd_files),
            "dropped": split.dropped["reason"].str.split(":").str[0].value_counts().to_dict(),
            "handling": split.handling,
            "notes": competition.notes,
        },
        "folds": {"fingerprint": split.fingerprint, "policy": split.policy, "sentence": split.sentence},
        "device": {key: getattr(prepared.device, key) for key in ("name", "threads", "processes")},
        "weights": weights,
        "sources": [
            *run_sources(competition, packed.fingerprint, prepared.plan.folds, weights),
            *earlier_sources(prepared.workspace),
        ],
        "versions": {"python": platform.python_version()} | {name: installed(name) for name in PACKAGES},
    }
    write_json(prepared.workspace.run_record, content)


def installed(package: str) -> str:
    """A package's version, or a dash where it runs from a checkout or under another name."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def task_inputs(prepared: Prepared, packed: Pack, split: Split, display: Display) -> TaskInputs:
    """What all tasks share; the workers start when there is a task for them."""
    return TaskInputs(
        workspace=prepared.workspace,
        pack=packed,
        folds=split.folds,
        device=prepared.device,
        workers=FeedWorkers(prepared.device.workers),
        synthetic=prepared.competition.synthetic,
        classes=prepared.competition.classes,
        tell=display.tell,
    )


def train_all(
    jobs: Sequence[Job],
    inputs: TaskInputs,
    budget: SessionBudget | None,
    prepared: Prepared,
    display: Display,
) -> Outcome:
    """Run what is not done yet, as far as the budget allows."""
    waiting = [job for job in jobs if not is_done(job.tasks_folder, job.record.fingerprint, display.tell)]
    check_taught(jobs, inputs.workspace)
    if len(waiting) < len(jobs):
        display.tell(f"{len(jobs) - len(waiting)} of {len(jobs)} tasks are done already.")
    if not waiting:
        return Outcome()
    display.show(printed_tasks(prepared.planned, prepared.folds, prepared.device, prepared.workspace))
    execute = run_jobs if inputs.device.processes == 1 else run_jobs_in_processes
    try:
        outcome = execute(jobs, inputs, budget, display)
    finally:
        inputs.workers.close()
    check_taught(jobs, inputs.workspace)  # a teacher that was damaged may have come back another
    return outcome


def check_taught(jobs: Sequence[Job], workspace: Workspace) -> None:
    """Refuse finished students whose teachers are no longer what they learned from.

    Raises:
        ArtifactRefusal: a teacher's table has changed.
    """
    for job in jobs:
        check_tables(job.experiment, job.fold, workspace)
