"""Finding and reading what is to be compared; everything that stands in the way is named."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from histoblend.artifacts.stored_scores import contradictions
from histoblend.comparing.common import common_ground
from histoblend.comparing.sides import read_sides
from histoblend.data.folds import folds_fingerprint
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.metrics import Metrics, areas
from histoblend.inference.tables import out_of_fold_table
from histoblend.workspace import read_json, write_csv, write_json


def read(output: Any, *names: str | Path) -> list[Any]:
    return read_sides([str(name) for name in names], output.folder, {})


def test_experiments_and_blends_by_name_with_what_they_cost(output: Any):
    vgg, blend = read(output, "vgg", "toy_greedy")
    assert (vgg.kind, blend.kind) == ("experiment", "blend")
    assert (vgg.cost.folds, vgg.cost.minutes, vgg.cost.images_per_second) == (3, 1.8, 101.0)
    assert (blend.cost.folds, blend.cost.minutes, blend.cost.images_per_second) == (6, 3.6, None)
    output.blend("toy_other", vgg=0.0, resnet=1.0)
    assert read(output, "vgg", "toy_other")[1].cost.minutes == 1.8, "a member without weight costs nothing"
    output.blend("toy_strange", unknown=1.0)
    assert read(output, "vgg", "toy_strange")[1].cost.minutes is None
    np.testing.assert_array_equal(vgg.logits, output.logits(1.4, sum(map(ord, "vgg"))))


def test_a_folder_of_another_output_goes_by_both_names(output: Any, another: Any):
    other = another("second")
    other.experiment("vgg", 2.0)
    sides = read(output, "vgg", other.folder / "experiments" / "vgg")
    assert [side.name for side in sides] == ["output/vgg", "second/vgg"]
    assert not np.array_equal(*(side.logits for side in sides))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("vgg",), "Only vgg"),
        (("vgg", "vgg"), "stands there twice"),
        (("vgg", "resnte"), r"no experiment, blend or folder 'resnte'[\s\S]*Did you mean resnet"),
    ],
)
def test_wrong_names_are_refused(output: Any, names: tuple[str, ...], said: str):
    with pytest.raises(ConfigRefusal, match=said):
        read(output, *names)


def test_a_name_and_the_path_of_the_same_folder_are_one_too_many(output: Any):
    with pytest.raises(ConfigRefusal, match="twice"):
        read(output, "vgg", output.folder / "experiments" / "vgg")


def test_other_data_is_refused_naming_both(output: Any, another: Any):
    other = another("second", pixels=1)
    other.experiment("alien")
    with pytest.raises(
        ArtifactRefusal, match=f"vgg is of the data toy .{output.data}., alien of toy .{other.data}."
    ):
        read(output, "vgg", other.folder / "experiments" / "alien")


def test_a_damaged_row_is_named(output: Any):
    path = output.workspace.experiment("resnet").out_of_fold
    table = pd.read_csv(path)
    table.loc[7, "label"] = 1 - table.loc[7, "label"]
    table.to_csv(path, index=False)
    with pytest.raises(
        ArtifactRefusal, match=r"resnet/oof\.csv has another label than folds\.csv for patch0007"
    ):
        read(output, "vgg", "resnet")


def test_a_damaged_fold_of_a_partial_experiment_is_named(output: Any):
    output.experiment("half", finished=(0, 2))
    task = output.workspace.experiment("half").task(2)
    task.out_of_fold.write_text(task.out_of_fold.read_text().replace(",2,", ",2,9", 1))
    with pytest.raises(ArtifactRefusal, match=r"Damaged: oof\.csv"):
        read(output, "vgg", "half")


def test_what_has_no_predictions_is_refused(output: Any):
    shutil.rmtree(output.workspace.experiment("resnet").folder)
    output.workspace.experiment("resnet").folder.mkdir()
    with pytest.raises(ArtifactRefusal, match="resnet has no out-of-fold predictions"):
        read(output, "vgg", "resnet")


def test_a_partial_experiment_is_compared_on_the_folds_that_all_have(output: Any):
    output.experiment("half", 1.0, finished=(0, 2))
    common = common_ground(read(output, "vgg", "half"))
    folds = output.folds[output.folds["fold"] != 1]
    assert common.rows["id"].tolist() == folds["id"].tolist()
    assert "half (folds 0 2)" in common.notes[0] and f"{len(folds)} patches" in common.notes[0]
    expected = [
        output.logits(strength, sum(map(ord, name))) for name, strength in (("vgg", 1.4), ("half", 1.0))
    ]
    np.testing.assert_array_equal(common.logits, np.stack(expected, axis=1)[folds.index])
    assert common.ground.folds.tolist() == folds["fold"].tolist() == common.folds[:, 0].tolist()


def test_a_stale_table_of_an_experiment_that_lost_a_fold_is_not_read(output: Any):
    shutil.rmtree(output.workspace.experiment("vgg").task(1).folder)
    assert set(read(output, "vgg", "resnet")[0].rows["fold"]) == {0, 2}


def test_a_score_that_is_not_that_of_its_table_is_refused(output: Any):
    """As the report does: a table whose scores were changed is no ground for a verdict."""
    blend = output.workspace.ensemble("toy_greedy")
    folds, logits = output.folds, output.logits(2.6, sum(map(ord, "toy_greedy")))
    scores = areas(out_of_fold_table(folds, logits))
    about = {"folds_fingerprint": folds_fingerprint(folds), "data_fingerprint": output.data}
    metrics = Metrics(name="toy_greedy", kind="blend", complete=True, about=about, **scores)
    write_json(blend.metrics, asdict(metrics))
    assert read(output, "vgg", "toy_greedy")
    write_csv(blend.out_of_fold, out_of_fold_table(folds, -logits))
    with pytest.raises(ArtifactRefusal, match=r"toy_greedy/metrics\.json: auc_pooled"):
        read(output, "vgg", "toy_greedy")
    assert contradictions([metrics], output.workspace)[0].startswith("toy_greedy is not to be trusted")
    blend.out_of_fold.unlink()
    assert "oof.csv is not there" in contradictions([metrics], output.workspace)[0]
    write_csv(output.workspace.experiment("vgg").out_of_fold, out_of_fold_table(folds, -logits))
    with pytest.raises(ArtifactRefusal, match=r"vgg/fold_0/done\.json: auc"):
        read(output, "vgg", "resnet")


def test_an_output_folder_is_no_side(output: Any):
    with pytest.raises(ConfigRefusal, match=r"is an output folder[\s\S]*experiments/NAME"):
        read(output, "vgg", output.folder)
    with pytest.raises(ConfigRefusal, match="is not there"):
        read(output, "vgg", output.folder / "experiments" / "gone")


def test_nothing_in_common_is_refused(output: Any):
    output.experiment("first", finished=(0,))
    output.experiment("last", finished=(2,))
    with pytest.raises(ArtifactRefusal, match=r"share 0 patches[\s\S]*first 0; last 2"):
        common_ground(read(output, "first", "last"))


def test_other_folds_are_ranked_each_within_their_own(output: Any, another: Any):
    other = another("second", split=1)
    other.experiment("shifted", 1.4)
    table = pd.read_csv(other.workspace.experiment("shifted").out_of_fold, float_precision="round_trip")
    logit = output.logits(1.4, sum(map(ord, "shifted")))[:, 0] + 10 * table["fold"]
    table.assign(logit=logit, probability=expit(logit)).to_csv(
        other.workspace.experiment("shifted").out_of_fold, index=False
    )
    common = common_ground(read(output, "vgg", other.folder / "experiments" / "shifted"))
    assert not common.same_folds and "different folds" in common.notes[0]
    fold = common.folds[:, 1]
    for number in range(3):
        ranks = (pd.Series(logit[fold == number]).rank() - 0.5) / (fold == number).sum()
        np.testing.assert_allclose(common.ranks[fold == number, 1], ranks)
    ground, logits = common.judged()
    assert set(ground.folds) == {0} and logits.shape == (len(table), 2, 1)


def test_a_split_that_was_tampered_with_is_refused(output: Any):
    run = read_json(output.workspace.run_record)
    run["folds"]["fingerprint"] = "0" * 12
    write_json(output.workspace.run_record, run)
    with pytest.raises(ArtifactRefusal, match="not the split of the last run"):
        read(output, "vgg", "resnet")
