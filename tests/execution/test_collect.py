from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.auc import auc
from histoblend.evaluation.metrics import Scoring
from histoblend.execution.collect import collect_experiment
from histoblend.workspace import Workspace

NAMES = ("no tumour", "tumour")
ABOUT = {"slides_policy": "map"}


@pytest.fixture
def parts(finished: Path):
    folds = pd.read_csv(finished / "folds.csv")
    ids = pd.read_csv(finished / "submission.csv")["id"]
    return Workspace(finished).experiment("first"), folds, ids


def collected(parts, tell=print):
    folder, folds, ids = parts
    return collect_experiment(folder, "experiment", Scoring(folds, ids, None, None, NAMES, ABOUT), {}, tell)


def test_metrics_come_from_the_tables_of_whole_folds(parts):
    metrics = collected(parts)
    tables = [pd.read_csv(parts[0].task(fold).out_of_fold) for fold in (0, 1)]
    expected = [auc(one["label"].to_numpy(), one["logit"].to_numpy()) for one in tables]
    assert metrics.complete
    assert list(metrics.auc_by_fold.values()) == expected
    assert metrics.auc_fold_mean == pytest.approx(np.mean(expected))


def test_a_missing_fold_makes_it_partial_and_is_averaged_over_by_nobody(parts):
    shutil.rmtree(parts[0].task(1).folder)
    parts[0].out_of_fold.unlink()
    parts[0].test.unlink()
    metrics = collected(parts)
    assert not metrics.complete and metrics.folds == [0]
    assert not parts[0].out_of_fold.exists() and not parts[0].test.exists()


@pytest.mark.parametrize("name", ["oof.csv", "test.csv"])
@pytest.mark.parametrize("damage", ["turned", "no table", "as it was"])
def test_a_table_that_does_not_follow_from_its_folds_is_rewritten_aloud(parts, name, damage):
    path, heard = parts[0].folder / name, []
    collected(parts)
    right = path.read_bytes()
    if damage == "turned":  # in a form that any reader takes
        table = pd.read_csv(path)
        table.loc[3, ["logit", "probability"]] = [-table["logit"][3], 1 - table["probability"][3]]
        table.to_csv(path, index=False)
    elif damage == "no table":
        path.write_text("")
    collected(parts, heard.append)
    told = [] if damage == "as it was" else [f"Rewritten: {path}, which did not follow from its folds."]
    assert heard == told
    assert path.read_bytes() == right


def test_a_fold_without_its_record_is_not_finished(parts):
    parts[0].task(0).done.unlink()
    assert collected(parts).folds == [1]
    parts[0].task(1).done.unlink()
    assert collected(parts) is None


def test_nothing_is_read_from_file_names(parts):
    before = collected(parts)
    wrong = pd.read_csv(parts[0].task(0).out_of_fold)
    wrong.to_csv(parts[0].folder / "fold_2_auc_0.9999.csv", index=False)
    shutil.copytree(parts[0].task(0).folder, parts[0].folder / "fold_0_auc_0.9999")
    assert collected(parts) == before


def test_a_fold_of_another_split_is_refused(parts):
    folder, folds, ids = parts
    swapped = folds.assign(fold=1 - folds["fold"])
    with pytest.raises(ArtifactRefusal):
        collected((folder, swapped, ids))


def test_times_and_gains_are_those_of_the_folds(parts):
    records = [json.loads(parts[0].task(fold).done.read_text()) for fold in (0, 1)]
    metrics = collected(parts)
    assert metrics.tta_gain == pytest.approx(np.mean([one["auc"] - one["auc_one_view"] for one in records]))
    seconds = sum(one["train_seconds"] + one["prediction_seconds"] for one in records)
    assert metrics.minutes == pytest.approx(seconds / 60)
