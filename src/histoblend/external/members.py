"""Added predictions in the output folder: known by their record, read like our own, rows of the ranking, members."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from histoblend.blending.members import Member
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.metrics import Metrics, Scoring, local_leaderboard, scored
from histoblend.inference.tables import read_out_of_fold, read_test, test_table
from histoblend.workspace import ExperimentFolder, Workspace, write_json
from histoblend.yaml_files import read_yaml

KIND = "external"


@dataclass(frozen=True)
class External:
    """Added predictions: their row of the ranking, and their part in blends, None where they have none."""

    metrics: Metrics
    member: Member | None


def external_members(workspace: Workspace, scoring: Scoring) -> list[External]:
    """All predictions that were added, read and checked, their metrics written anew as `scoring` has it.

    Raises:
        ArtifactRefusal: a table is damaged or does not fit the folds or the test ids.
    """
    folders = [ExperimentFolder(path.parent) for path in sorted(workspace.experiments.glob("*/config.yaml"))]
    return [_external(folder, scoring) for folder in folders if is_external(folder)]


def is_external(folder: ExperimentFolder) -> bool:
    """Whether the folder holds predictions that were added."""
    return folder.config.exists() and read_yaml(folder.config).get("kind") == KIND


def refuse_external(folder: ExperimentFolder) -> None:
    """Refuse to train an experiment where predictions were added under its name.

    Raises:
        ArtifactRefusal: they were.
    """
    if is_external(folder):
        name, output = folder.folder.name, folder.folder.parents[1]
        raise ArtifactRefusal(
            f"{folder.folder} holds predictions that were added from elsewhere as {name}.",
            "an experiment of its own name",
            f"rename the experiment's file, or put them aside: ./run.sh archive {name} --output {output}",
        )


def _external(folder: ExperimentFolder, scoring: Scoring) -> External:
    record = read_yaml(folder.config)
    about = scoring.about | {"inner_split": None, "config_fingerprint": record["fingerprint"]}
    out_of_fold = read_out_of_fold(folder.out_of_fold, scoring.folds) if folder.out_of_fold.exists() else None
    test = read_test(folder.test, scoring.test_ids) if folder.test.exists() else None
    leaderboard = None if test is None else local_leaderboard(test, scoring.known_labels)
    values = None if out_of_fold is None else scored(out_of_fold, scoring.ground_for(out_of_fold))
    metrics = external_metrics(folder.folder.name, values, about, leaderboard)
    if out_of_fold is None:
        return External(metrics, None)
    write_json(folder.metrics, asdict(metrics))
    if test is None and len(scoring.test_ids):
        return External(metrics, None)
    outputs = len(scoring.classes) if len(scoring.classes) > 2 else 1
    blended = test_table(scoring.test_ids, np.zeros((0, outputs))) if test is None else test
    return External(metrics, Member(metrics.name, out_of_fold, blended, str(record["folds"])))


def external_metrics(
    name: str, values: dict[str, Any] | None, about: dict[str, Any], leaderboard: float | None
) -> Metrics:
    """The row of the ranking; without out-of-fold predictions (`values` None) no fold and no score."""
    unknown = {key: float("nan") for key in ("auc_pooled", "auc_fold_mean", "auc_fold_std")}
    known = unknown | {"folds": []} if values is None else values
    complete = values is not None
    return Metrics(
        name=name, kind=KIND, complete=complete, local_leaderboard=leaderboard, about=about, **known
    )
