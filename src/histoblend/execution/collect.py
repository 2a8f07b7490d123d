"""The tasks of an experiment put together: one out-of-fold table, one test table, its metrics."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from histoblend.evaluation.auc import auc, fold_aucs, pooled_auc
from histoblend.inference.tables import (
    out_of_fold_table,
    read_out_of_fold,
    read_test,
    test_table,
    write_out_of_fold,
    write_test,
)
from histoblend.training.task import check_whole
from histoblend.workspace import ExperimentFolder, read_json, write_json


@dataclass(frozen=True)
class Metrics:
    """A row of the ranking."""

    name: str
    kind: str
    """``experiment``, ``yardstick`` or ``blend``."""
    complete: bool
    folds: list[int]
    auc_pooled: float
    """Over all patches predicted, on ranks within fold."""
    auc_fold_mean: float
    auc_fold_std: float
    auc_by_fold: dict[str, float] = field(default_factory=dict)
    tta_gain: float | None = None
    """Mean over folds of the AUC with all views minus that with one."""
    minutes: float = 0.0
    """Training and prediction of all folds together."""
    images_per_second: float | None = None
    """In training, mean over folds."""
    local_leaderboard: float | None = None
    """AUC on the test patches of a synthetic competition."""
    about: dict[str, Any] = field(default_factory=dict)
    """Data set, fold policy and fingerprints."""


def scored(table: pd.DataFrame) -> dict[str, Any]:
    """Pooled and fold-wise AUC of an out-of-fold table."""
    by_fold = fold_aucs(table)
    values = np.array(list(by_fold.values()))
    return {
        "auc_pooled": pooled_auc(table),
        "auc_fold_mean": float(values.mean()),
        "auc_fold_std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "auc_by_fold": {str(fold): value for fold, value in by_fold.items()},
        "folds": list(by_fold),
    }


def local_leaderboard(test: pd.DataFrame, solution: pd.DataFrame | None) -> float | None:
    """AUC of a test table against the solution of a synthetic competition; None for real data."""
    if solution is None:
        return None
    joined = test.merge(solution, on="id", validate="one_to_one")
    return auc(joined["label"].to_numpy(), joined["logit"].to_numpy())


@dataclass(frozen=True)
class Scoring:
    """What predictions are made for and scored by, shared by all experiments and blends of a run."""

    folds: pd.DataFrame
    test_ids: pd.Series
    sample: pd.DataFrame | None
    solution: pd.DataFrame | None
    about: dict[str, Any]
    """Data set, fold policy, fingerprints: what stands beside each score in the ranking."""


def collect_experiment(
    folder: ExperimentFolder, kind: str, scoring: Scoring, about: dict[str, Any]
) -> Metrics | None:
    """Join the finished folds of an experiment and write its tables and metrics; None if no fold is done.

    Tables are written for a complete experiment only: a partial one has no prediction for some ids.

    Raises:
        ArtifactRefusal: a file of a finished fold is damaged.
    """
    folds = scoring.folds
    numbers = [int(k) for k in sorted(folds["fold"].unique()) if folder.task(int(k)).done.exists()]
    if not numbers:
        return None
    table, test = _joined(folder, numbers, scoring)
    complete = len(numbers) == folds["fold"].nunique()
    if complete:
        write_out_of_fold(folder.out_of_fold, table, folds)
        write_test(folder.test, test, scoring.test_ids)
    metrics = Metrics(
        name=folder.folder.name,
        kind=kind,
        complete=complete,
        local_leaderboard=local_leaderboard(test, scoring.solution),
        about=scoring.about | about,
        **scored(table),
        **_costs([read_json(folder.task(k).done) for k in numbers]),
    )
    write_json(folder.metrics, asdict(metrics))
    return metrics


def _joined(
    folder: ExperimentFolder, numbers: list[int], scoring: Scoring
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The out-of-fold table of the finished folds, and the mean of their test logits."""
    for number in numbers:
        check_whole(folder.task(number))
    folds = scoring.folds[scoring.folds["fold"].isin(numbers)]
    parts = [
        read_out_of_fold(folder.task(k).out_of_fold, scoring.folds[scoring.folds["fold"] == k])
        for k in numbers
    ]
    logits = pd.concat(parts).set_index("id")["logit"].loc[folds["id"]].to_numpy()
    tests = [read_test(folder.task(k).test, scoring.test_ids)["logit"].to_numpy() for k in numbers]
    return out_of_fold_table(folds, logits), test_table(scoring.test_ids, np.mean(tests, axis=0))


def _costs(records: list[dict[str, Any]]) -> dict[str, Any]:
    gains = [record["auc"] - record["auc_one_view"] for record in records if record["views"] > 1]
    seconds = sum(record["train_seconds"] + record["prediction_seconds"] for record in records)
    return {
        "tta_gain": float(np.mean(gains)) if gains else None,
        "minutes": seconds / 60,
        "images_per_second": float(np.mean([record["images_per_second"] for record in records])),
    }
