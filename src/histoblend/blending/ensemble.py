"""Every rule's blend of the complete members, written with its own submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from histoblend.blending.members import Member, MemberLogits, joined_logits
from histoblend.blending.rules import RULES, Rule
from histoblend.blending.submission import submission_table, write_submission
from histoblend.execution.collect import Metrics, local_leaderboard, scored
from histoblend.inference.tables import out_of_fold_table, test_table, write_out_of_fold, write_test
from histoblend.workspace import EnsembleFolder, Workspace, write_json


@dataclass(frozen=True)
class BlendInputs:
    """What every blend of a run shares."""

    workspace: Workspace
    folds: pd.DataFrame
    test_ids: pd.Series
    sample: pd.DataFrame | None
    solution: pd.DataFrame | None
    scale: str
    about: dict[str, Any]


def ensemble_name(rule: str) -> str:
    """Name of the blend by this rule, in folders and in the ranking."""
    return f"blend_{rule}"


def write_ensembles(members: Sequence[Member], inputs: BlendInputs) -> list[Metrics]:
    """Blend `members` by every rule and write each blend's tables, weights, metrics and submission."""
    joined = joined_logits(members, inputs.folds, inputs.test_ids)
    return [_write_ensemble(name, rule, joined, inputs) for name, rule in RULES.items()]


def _write_ensemble(name: str, rule: Rule, joined: MemberLogits, inputs: BlendInputs) -> Metrics:
    folder: EnsembleFolder = inputs.workspace.ensemble(ensemble_name(name))
    out_of_fold = out_of_fold_table(inputs.folds, rule(joined.out_of_fold, inputs.folds["fold"].to_numpy()))
    one_group = np.zeros(len(inputs.test_ids), np.int64)
    test = test_table(inputs.test_ids, rule(joined.test, one_group))
    write_out_of_fold(folder.out_of_fold, out_of_fold, inputs.folds)
    write_test(folder.test, test, inputs.test_ids)
    weights = {member: 1 / len(joined.names) for member in joined.names}
    write_json(folder.weights, {"rule": name, "weights": weights})
    submission = submission_table(test, inputs.sample, inputs.scale)
    write_submission(folder.submission, submission, test, joined.test, joined.names)
    metrics = Metrics(
        name=ensemble_name(name),
        kind="blend",
        complete=True,
        local_leaderboard=local_leaderboard(test, inputs.solution),
        about=inputs.about,
        **scored(out_of_fold),
    )
    write_json(folder.metrics, asdict(metrics))
    return metrics
