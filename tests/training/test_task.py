"""What a finished task is, and that folds stay apart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.data.views import apply_view, chosen_views
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.auc import auc
from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.reporting.progress import Display
from histoblend.training.task import damaged_files, set_aside
from histoblend.workspace import TaskFolder


def task(finished: Path, fold: int = 0, experiment: str = "first") -> TaskFolder:
    return TaskFolder(finished / f"experiments/{experiment}/fold_{fold}")


def test_folds_hold_out_different_patches_and_together_all(finished: Path, toy: Path):
    """`next(split)` inside the loop would make every fold the same."""
    held = [set(pd.read_csv(task(finished, fold).out_of_fold)["id"]) for fold in (0, 1)]
    assert not held[0] & held[1]
    assert held[0] | held[1] == set(pd.read_csv(toy / "train_labels.csv")["id"])


@pytest.mark.parametrize("experiment", ["first", "second"])
def test_each_fold_keeps_weights_of_its_own(finished: Path, experiment: str):
    weights = [task(finished, fold, experiment).weights.read_bytes() for fold in (0, 1)]
    logits = [pd.read_csv(task(finished, fold, experiment).test)["logit"] for fold in (0, 1)]
    assert weights[0] != weights[1]
    assert not np.allclose(*logits)


def test_the_record_holds_exact_aucs_and_the_views_of_test_and_out_of_fold_alike(finished: Path):
    record = json.loads(task(finished).done.read_text())
    table = pd.read_csv(task(finished).out_of_fold, float_precision="round_trip")
    assert record["auc"] == auc(table["label"].to_numpy(), table["logit"].to_numpy())
    assert record["views"] == 4
    assert record["patches"] == len(table)


def test_saved_model_and_tables_agree(finished: Path, toy: Path):
    """One sigmoid and no more; the same four views for test patches and held-out ones."""
    import keras

    from histoblend.data.decode import decode_patch

    model = keras.models.load_model(task(finished, 0, "second").saved_model)
    for part, path in (
        ("train", task(finished, 0, "second").out_of_fold),
        ("test", task(finished, 0, "second").test),
    ):
        table = pd.read_csv(path, float_precision="round_trip")[:6]
        patches = np.stack([decode_patch(toy / part / f"{one}.tif") for one in table["id"]])
        seen = [np.asarray(model(apply_view(patches, view)), float)[:, 0] for view in chosen_views(4)]
        logits = np.mean([np.log(one / (1 - one)) for one in seen], axis=0)
        np.testing.assert_allclose(table["logit"], logits, atol=0.05)  # bfloat16, where it is the default
        np.testing.assert_allclose(table["probability"], 1 / (1 + np.exp(-table["logit"])), rtol=1e-12)


def test_damage_is_found_file_by_file(finished: Path):
    assert damaged_files(task(finished)) == []
    task(finished).weights.unlink()
    task(finished).test.write_text(task(finished).test.read_text().replace("1", "2", 1))
    assert set(damaged_files(task(finished))) == {task(finished).weights, task(finished).test}


def test_damaged_folders_are_kept_under_names_of_their_own(tmp_path: Path):
    for number in (1, 2):
        (tmp_path / "fold_0").mkdir()
        assert set_aside(tmp_path / "fold_0").name == f"fold_0.damaged-{number}"


def test_a_lost_record_does_not_let_a_changed_configuration_use_old_artifacts(finished: Path, toy: Path):
    (finished / "experiments/first/config.yaml").unlink()
    request = Request("toy", toy, finished, settings=("training.epochs=1",), experiments=("first",))
    with pytest.raises(ArtifactRefusal, match=r"fold_0(.|\n)*archive"):
        run(request, Display(), dict(os.environ))
