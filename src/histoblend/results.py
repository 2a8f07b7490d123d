"""A run after its last task: experiments collected, blended, ranked; the submission on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from histoblend.blending.ensemble import write_ensembles
from histoblend.blending.inputs import BlendInputs
from histoblend.blending.members import Member
from histoblend.config_experiment import Experiment
from histoblend.data.pack import Pack
from histoblend.data.split import Split
from histoblend.errors import some
from histoblend.evaluation.metrics import Metrics, Scoring
from histoblend.execution.collect import collect_experiment
from histoblend.execution.records import Record, read_record, record_differences
from histoblend.external.members import External, refuse_external
from histoblend.inference.tables import read_out_of_fold, read_test
from histoblend.ledger import read_ledger
from histoblend.preparation import Prepared
from histoblend.pulled import finished_metrics
from histoblend.reporting.blend_table import printed_audit
from histoblend.reporting.progress import Display
from histoblend.reporting.ranking import printed_ranking, ranking_table
from histoblend.training.teachers import changed_teachers
from histoblend.workspace import Workspace, read_json, write_csv


def scoring_of(prepared: Prepared, packed: Pack, split: Split) -> Scoring:
    """What this run's predictions are made for and scored by."""
    competition = prepared.competition
    about = {
        "slides_policy": split.policy,
        "inner_split": False,  # of a blend: nothing watches it; an experiment says its own
        "data_set": competition.name,
        "synthetic": competition.synthetic,
        "data_fingerprint": packed.fingerprint,
        "folds_fingerprint": split.fingerprint,
    }
    return Scoring(
        folds=split.folds,
        test_ids=packed.test["id"],
        sample=competition.sample,
        known_labels=competition.known_labels,
        classes=competition.classes,
        about=about,
    )


def collect_all(
    prepared: Prepared, others: Sequence[tuple[Experiment, Record]], scoring: Scoring, display: Display
) -> list[Metrics]:
    """Tables and metrics of the plan's experiments that have a finished fold.

    `others`, which this run was not asked for, count only if they were trained as one of their fresh records says.
    """
    kept = {planned.experiment.name: planned.experiment for planned in prepared.planned}
    unlike = []
    for experiment, fresh in others:
        folder = prepared.workspace.experiment(experiment.name)
        if experiment.name in kept or not folder.config.exists():
            continue
        refuse_external(folder)
        if record_differences(read_record(folder), fresh):
            unlike.append(experiment.name)
        else:
            kept[experiment.name] = experiment
    for name in dict.fromkeys(unlike):
        if name not in kept:
            display.tell(f"{name} was trained with other settings than the plan's: left out.")
    current = [one for one in kept.values() if not _outdated(one, prepared, display)]
    collected = [_collected(experiment, prepared.workspace, scoring, display.tell) for experiment in current]
    return [metrics for metrics in collected if metrics is not None]


def _outdated(student: Experiment, prepared: Prepared, display: Display) -> bool:
    """Whether the experiment learned, on any fold, from a table that its teacher has no more; told."""
    folds = range(prepared.plan.folds.count)
    changed = [name for fold in folds for name in changed_teachers(student, fold, prepared.workspace)]
    if changed:
        display.tell(
            f"{student.name} learned from another table of {some(list(dict.fromkeys(changed)))} than is there now: "
            f"left out. To do: ./run.sh archive {student.name} --output {prepared.workspace.folder}; train it again."
        )
    return bool(changed)


def _collected(
    experiment: Experiment, workspace: Workspace, scoring: Scoring, tell: Callable[[str], None]
) -> Metrics | None:
    folder = workspace.experiment(experiment.name)
    kind = "yardstick" if experiment.role == "yardstick" else "experiment"
    about: dict[str, Any] = {
        "inner_split": experiment.needs_inner_split,
        "pseudo_labels": bool(experiment.teachers),
        "searched": experiment.searched,
        "config_fingerprint": read_record(folder).fingerprint,
    }
    return collect_experiment(folder, kind, scoring, about, tell)


def blend_all(
    metrics: Sequence[Metrics],
    added: Sequence[External],
    prepared: Prepared,
    scoring: Scoring,
    display: Display,
) -> list[Metrics]:
    """Blend the complete experiments and what was added with them; none if there is none."""
    names = [one.name for one in metrics if one.complete and one.kind == "experiment"]
    for reason, left_out in _not_blended(metrics, added, prepared.workspace).items():
        if left_out:
            display.tell(f"{reason}, so not blended: {some(left_out)}.")
    members = [_member(name, prepared.workspace, scoring) for name in names]
    members += [one.member for one in added if one.member is not None]
    if not members:
        return []
    marks = ("pseudo_labels", "searched")
    marked = {mark: any(one.about[mark] for one in metrics if one.name in names) for mark in marks}
    of_blends = replace(scoring, about=scoring.about | marked)
    plan = prepared.plan
    inputs = BlendInputs(prepared.workspace, plan.name, plan.submission.scale, of_blends, plan.blend)
    before = _submitted_blend(inputs)
    with display.counting("Auditing the blend's rules") as count:
        blends = write_ensembles(members, inputs, count)
    if before not in (None, now := _submitted_blend(inputs)):
        display.tell(f"submission.csv is replaced: it was {before}, it is {now}.")
    return blends


def _submitted_blend(inputs: BlendInputs) -> str | None:
    """The blend of this plan that stands in submission.csv, as its audit says."""
    path = inputs.workspace.blend_audit(inputs.plan)
    finals = read_json(path)["finals"] if path.exists() else []
    return finals[0]["name"] if finals else None


def _not_blended(
    metrics: Sequence[Metrics], added: Sequence[External], workspace: Workspace
) -> dict[str, list[str]]:
    """Names of what is there and stays out of the blend, by reason."""
    asked_for = {one.name for one in metrics}
    alone = [one.metrics for one in added if one.member is None]
    return {
        "Partial": [one.name for one in metrics if not one.complete],
        "Of another plan": [
            one.name
            for one in finished_metrics(workspace)
            if one.kind == "experiment" and one.complete and one.name not in asked_for
        ],
        "Test only, of unknown worth": [one.name for one in alone if not one.folds],
        "Without test predictions": [one.name for one in alone if one.folds],
    }


def _member(name: str, workspace: Workspace, scoring: Scoring) -> Member:
    folder = workspace.experiment(name)
    return Member(
        name,
        read_out_of_fold(folder.out_of_fold, scoring.folds),
        read_test(folder.test, scoring.test_ids),
        read_record(folder).content["folds"],
    )


def rank_all(metrics: Sequence[Metrics], workspace: Workspace, display: Display) -> pd.DataFrame:
    """Write and print the ranking: this run's experiments and blends, and those of earlier runs in this folder."""
    table = write_ranking(metrics, workspace)
    if len(table):
        display.show(printed_ranking(table, display.console.width))
    return table


def write_ranking(metrics: Sequence[Metrics], workspace: Workspace) -> pd.DataFrame:
    """Write the ranking of `metrics` and of what earlier runs left in this folder."""
    names = {one.name for one in metrics}
    earlier = [one for one in finished_metrics(workspace) if one.name not in names]
    table = ranking_table([*metrics, *earlier], read_ledger(workspace.ledger))
    write_csv(workspace.ranking, table)
    return table


def conclude(prepared: Prepared, blends: Sequence[Metrics], display: Display) -> None:
    """Say what the audit of the blend found, which rule was taken and why, and where the submissions are."""
    if not blends:
        display.warn("No member of the blend is complete, so there is no submission yet.")
        return
    workspace = prepared.workspace
    audit = read_json(workspace.blend_audit(prepared.plan.name))
    if len(audit["rules"]) > 1:
        display.show(printed_audit(audit))
        if audit["warning"]:
            display.tell(f"Note: {audit['warning']}")
    for one in audit["gated"]:
        display.tell(f"Left out by the gate: {one['member']} {one['why']}.")
    if len(audit["members"]) > 1 == len(audit["members"]) - len(audit["gated"]):
        display.warn("blend.gate leaves one member, so nothing is blended. To do: a higher gate, or none.")
    rule, reason = audit["chosen"].replace("_", " "), audit["reason"]
    display.tell(f"Blend: {rule} of {_composition(audit)}. {reason[0].upper()}{reason[1:]}.")
    if not audit["finals"]:
        display.tell("There is nothing to submit: the data has no test part without known labels.")
        return
    mark = "SYNTHETIC, not for the leaderboard: " if prepared.competition.synthetic else ""
    display.tell(f"{mark}Submission: {workspace.submission} ({_submitted(prepared)})")
    for second in audit["finals"][1:]:
        display.tell(
            f"A second final: {workspace.submission_alternative}, {second['name']}: {second['why']}."
        )


def _composition(audit: dict[str, Any]) -> str:
    """The members of the chosen blend; with their weights where these differ, the heaviest first."""
    row = next(one for one in audit["rules"] if one["rule"] == audit["chosen"])
    weights: dict[str, float] = row["weights"]
    if len(set(weights.values())) == 1:
        return ", ".join(audit["members"])
    ordered = sorted(weights.items(), key=lambda pair: -abs(pair[1]))
    return ", ".join(f"{weight:.2f} {name}" for name, weight in ordered if weight)


def _submitted(prepared: Prepared) -> str:
    """What the numbers in the submission are."""
    classes = prepared.competition.classes
    if len(classes) > 2:
        return "the most probable class"
    kind = (
        "percentile ranks, not probabilities" if prepared.plan.submission.scale == "rank" else "probabilities"
    )
    return f"{kind}, of {classes[1]}"
