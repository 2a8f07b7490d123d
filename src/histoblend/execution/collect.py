"""The tasks of an experiment put together: one out-of-fold table, one test table, its metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from histoblend.evaluation.metrics import Metrics, Scoring, local_leaderboard, scored
from histoblend.inference.tables import (
    out_of_fold_table,
    read_out_of_fold,
    read_test,
    table_logits,
    test_table,
    write_out_of_fold,
    write_test,
)
from histoblend.training.task import check_whole
from histoblend.workspace import ExperimentFolder, read_json, write_json

SAME = 1e-9  # of a logit or probability: what another version of numpy may change


def collect_experiment(
    folder: ExperimentFolder,
    kind: str,
    scoring: Scoring,
    about: dict[str, Any],
    tell: Callable[[str], None],
) -> Metrics | None:
    """Join the finished folds of an experiment and write its tables and metrics; None if no fold is done.

    Tables are written for a complete experiment only: a partial one has no prediction for some ids. Where one was
    there that does not follow from the folds, `tell` hears that it is replaced.

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
        for path, right in ((folder.out_of_fold, table), (folder.test, test)):
            if path.exists() and not _follows(path, right):
                tell(f"Rewritten: {path}, which did not follow from its folds.")
        write_out_of_fold(folder.out_of_fold, table, folds)
        write_test(folder.test, test, scoring.test_ids)
    metrics = Metrics(
        name=folder.folder.name,
        kind=kind,
        complete=complete,
        local_leaderboard=local_leaderboard(test, scoring.known_labels),
        about=scoring.about | about,
        **scored(table, scoring.ground_for(table)),
        **_costs([read_json(folder.task(k).done) for k in numbers]),
    )
    write_json(folder.metrics, asdict(metrics))
    return metrics


def _follows(path: Path, right: pd.DataFrame) -> bool:
    """Whether a table that is there is the one just joined from the folds, but for the last digits of its scores."""
    try:
        there = pd.read_csv(path, dtype={"id": str}, float_precision="round_trip")
        pd.testing.assert_frame_equal(there, right, check_dtype=False, rtol=0, atol=SAME)
    except (OSError, ValueError, AssertionError):
        return False
    return True


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
    logits = table_logits(pd.concat(parts).set_index("id").loc[folds["id"]])
    tests = [table_logits(read_test(folder.task(k).test, scoring.test_ids)) for k in numbers]
    return out_of_fold_table(folds, logits), test_table(scoring.test_ids, np.mean(tests, axis=0))


def _costs(records: list[dict[str, Any]]) -> dict[str, Any]:
    gains = [record["auc"] - record["auc_one_view"] for record in records if record["views"] > 1]
    seconds = sum(record["train_seconds"] + record["prediction_seconds"] for record in records)
    return {
        "tta_gain": float(np.mean(gains)) if gains else None,
        "minutes": seconds / 60,
        "images_per_second": float(np.mean([record["images_per_second"] for record in records])),
    }
