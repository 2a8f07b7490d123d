"""Every rule's blend of the complete members, written with its own submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from histoblend.blending.members import Member, MemberLogits, joined_logits
from histoblend.blending.rules import Rule, rules_for
from histoblend.blending.submission import submission_table, write_submission
from histoblend.config_files import base_name
from histoblend.evaluation.metrics import Metrics, Scoring, local_leaderboard, scored
from histoblend.inference.tables import out_of_fold_table, test_table, write_out_of_fold, write_test
from histoblend.workspace import Workspace, write_json


@dataclass(frozen=True)
class BlendInputs:
    """What every blend of a run shares; `scale` is that of the submission."""

    workspace: Workspace
    plan: str
    scale: str
    scoring: Scoring


def ensemble_name(plan: str, rule: str) -> str:
    """Name of a plan's blend by this rule, in folders and in the ranking."""
    return f"{plan}_{rule}"


def write_ensembles(members: Sequence[Member], inputs: BlendInputs) -> list[Metrics]:
    """Blend `members` by every rule that fits the classes; write tables, weights, metrics and submission of each."""
    joined = joined_logits(members, inputs.scoring.folds, inputs.scoring.test_ids)
    seeds = {name: [one.name for one in members if base_name(one.name) == name] for name in joined.names}
    return [
        _write_ensemble(name, rule, joined, inputs, seeds)
        for name, rule in rules_for(len(inputs.scoring.classes)).items()
    ]


def _write_ensemble(
    name: str, rule: Rule, joined: MemberLogits, inputs: BlendInputs, seeds: dict[str, list[str]]
) -> Metrics:
    title, scoring = ensemble_name(inputs.plan, name), inputs.scoring
    folder = inputs.workspace.ensemble(title)
    folds, ids = scoring.folds, scoring.test_ids
    out_of_fold = out_of_fold_table(folds, rule(joined.out_of_fold, folds["fold"].to_numpy()))
    test = test_table(ids, rule(joined.test, np.zeros(len(ids), np.int64)))
    write_out_of_fold(folder.out_of_fold, out_of_fold, folds)
    write_test(folder.test, test, ids)
    weights = {member: 1 / len(joined.names) for member in joined.names}
    write_json(folder.weights, {"rule": name, "weights": weights, "members": seeds})
    if scoring.submits:
        submission = submission_table(test, scoring.sample, inputs.scale, scoring.classes)
        write_submission(folder.submission, submission, scoring, test, joined)
    metrics = Metrics(
        name=title,
        kind="blend",
        complete=True,
        local_leaderboard=local_leaderboard(test, scoring.known_labels),
        about=scoring.about,
        **scored(out_of_fold),
    )
    write_json(folder.metrics, asdict(metrics))
    return metrics
