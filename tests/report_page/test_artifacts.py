"""An output folder is read once and checked: whatever is damaged is named, whatever is unfinished is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from histoblend.artifacts.reading import read_artifacts
from histoblend.blending.submission import submission_table
from histoblend.errors import ArtifactRefusal
from histoblend.workspace import Workspace, write_csv, write_json

ID = f"{977 * 7 + 1:040x}"  # of the eighth patch


def test_a_whole_run_is_read_as_it_is(whole: Workspace) -> None:
    found = read_artifacts(whole)
    scores = [one.metrics.auc_pooled for one in found.ranked]
    assert scores == sorted(scores, reverse=True)
    assert {one.name for one in found.ranked} == {"alpha", "beta", "plan_logit_mean", "plan_greedy"}
    assert found.lead is found.named("plan_logit_mean")
    assert found.notes == ()
    assert found.test_patches == 40
    alpha = found.named("alpha")
    assert alpha is not None
    assert [task.fold for task in alpha.tasks] == [0, 1]
    assert list(alpha.table["id"]) == list(found.folds["id"])
    assert (alpha.interval.low, alpha.interval.clusters) == (alpha.metrics.interval["low"], 24)  # type: ignore[index]


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1))


def cell(path: Path, name: str, column: str, value: Any) -> None:
    """Put `value` into one cell of a table, the row named by its id."""
    table = pd.read_csv(path, dtype=str)
    table.loc[table["id"] == name, column] = str(value)
    table.to_csv(path, index=False)


def key(path: Path, keys: tuple[Any, ...], value: Any) -> None:
    """Put `value` at a place of a JSON file."""
    content = json.loads(path.read_text())
    place = content
    for one in keys[:-1]:
        place = place[one]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


TABLES = ("experiments/alpha/oof.csv", "ensembles/plan_logit_mean/oof.csv")


@pytest.mark.parametrize("file", TABLES)
@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("logit", "x", "no finite number"),
        ("logit", "0.123", "contradict each other"),
        ("probability", "", "no finite number"),
        ("label", "oops", "another label than folds.csv"),
        ("fold", "9", "another fold than folds.csv"),
        ("id", "elsewhere", "lacks ids"),
    ],
)
def test_a_damaged_row_of_predictions_is_named(
    whole: Workspace, file: str, column: str, value: str, said: str
) -> None:
    cell(whole.folder / file, ID, column, value)
    with pytest.raises(ArtifactRefusal, match=said) as refusal:
        read_artifacts(whole)
    assert str(whole.folder / file) in refusal.value.found
    assert ID in refusal.value.found
    assert "To do:" in str(refusal.value)


@pytest.mark.parametrize("file", ["experiments/alpha/test.csv", "ensembles/plan_greedy/test.csv"])
def test_a_damaged_row_of_test_predictions_is_named(whole: Workspace, file: str) -> None:
    cell(whole.folder / file, "test_3", "logit", "nan?")
    with pytest.raises(ArtifactRefusal, match="test_3") as refusal:
        read_artifacts(whole)
    assert str(whole.folder / file) in refusal.value.found


def test_a_test_row_that_is_not_the_mean_of_its_folds_is_named(whole: Workspace) -> None:
    path = whole.experiment("alpha").test
    table = pd.read_csv(path)
    table.loc[3, ["logit", "probability"]] = [0.0, 0.5]
    write_csv(path, table)
    with pytest.raises(ArtifactRefusal, match=r"alpha/test\.csv is not the mean of its folds for test_3\."):
        read_artifacts(whole)


@pytest.mark.parametrize("scale", ["rank", "probability"])
def test_a_changed_row_of_the_submission_is_named(whole: Workspace, scale: str) -> None:
    test = pd.read_csv(whole.ensemble("plan_logit_mean").test)
    test["logit"] = range(len(test))
    test["probability"] = 1 / (1 + np.exp(-test["logit"]))
    write_csv(whole.ensemble("plan_logit_mean").test, test)
    handed_in = submission_table(test, None, scale, ("no tumour", "tumour")).iloc[::-1]
    write_csv(whole.submission, handed_in)
    assert read_artifacts(whole).scored_elsewhere
    write_csv(
        whole.submission, handed_in.assign(label=handed_in["label"].where(handed_in["id"] != "test_3", 0.9))
    )
    with pytest.raises(
        ArtifactRefusal, match=r"submission\.csv is not .* of plan_logit_mean .* for test_3\."
    ):
        read_artifacts(whole)
    write_csv(whole.submission, handed_in.replace("test_3", "test_x"))
    with pytest.raises(ArtifactRefusal, match=r"for test_x\."):
        read_artifacts(whole)


def test_a_test_row_that_is_gone_is_missed_in_its_own_file(whole: Workspace) -> None:
    path = whole.experiment("alpha").test
    write_csv(path, pd.read_csv(path).iloc[1:])
    with pytest.raises(ArtifactRefusal, match=r"alpha/test.csv lacks ids: test_0"):
        read_artifacts(whole)


@pytest.mark.parametrize(
    ("file", "keys", "value", "said"),
    [
        ("run.json", ("data", "classes", "tumour"), -3, "data > classes > tumour is -3"),
        ("run.json", ("started",), None, "started is None"),
        ("experiments/alpha/metrics.json", ("auc_pooled",), 0.77, "auc_pooled is 0.77"),
        ("experiments/alpha/metrics.json", ("auc_by_fold", "1"), 0.5, "auc_by_fold > 1 is 0.5"),
        ("experiments/alpha/metrics.json", ("auc_fold_std",), "?", "auc_fold_std is '?'"),
        ("experiments/alpha/metrics.json", ("interval", "high"), 0.1, "interval > low to high"),
        (
            "experiments/alpha/metrics.json",
            ("about", "folds_fingerprint"),
            "other",
            "folds_fingerprint is other",
        ),
        ("experiments/beta/metrics.json", ("name",), "alpha", "name is alpha"),
        ("experiments/alpha/fold_0/done.json", ("auc",), 0.5, "auc is 0.5"),
        ("experiments/alpha/fold_0/done.json", ("views",), "many", "views is 'many'"),
        ("experiments/alpha/fold_1/done.json", ("fold",), 0, "fold is 0"),
        ("experiments/alpha/fold_1/done.json", ("fingerprint",), "other", "fingerprint is 'other'"),
        ("ensembles/plan_greedy/metrics.json", ("auc_fold_mean",), 0.6, "auc_fold_mean is 0.6"),
        ("ensembles/plan_greedy/weights.json", ("weights", "alpha"), "much", "weights > alpha is 'much'"),
        ("ensembles/plan_greedy/weights.json", ("weights", "alpha"), 0.1, "weights > alpha is 0.1"),
        (
            "ensembles/plan_audit.json",
            ("rules", 1, "auc_cross_fitted"),
            0.99,
            "(greedy) > auc_cross_fitted is 0.99",
        ),
        ("ensembles/plan_audit.json", ("rules", 1, "optimism"), 0.3, "(greedy) > optimism is 0.3"),
        ("ensembles/plan_audit.json", ("rules", 1, "gain"), 0.3, "(greedy) > gain is 0.3"),
        ("ensembles/plan_audit.json", ("rules", 0, "p_value"), 7, "rules > 0 > p_value is 7"),
        ("ensembles/plan_audit.json", ("chosen",), "luck", "chosen is luck"),
        ("ensembles/plan_audit.json", ("correlation", "spearman"), [[1.0]], "correlation > spearman"),
    ],
)
def test_a_damaged_value_is_named(
    whole: Workspace, file: str, keys: tuple[Any, ...], value: Any, said: str
) -> None:
    key(whole.folder / file, keys, value)
    with pytest.raises(ArtifactRefusal) as refusal:
        read_artifacts(whole)
    assert f"{whole.folder / file}: " in refusal.value.found
    assert said in refusal.value.found
    assert refusal.value.expected
    assert refusal.value.remedy


def test_a_file_that_is_no_json_is_named(whole: Workspace) -> None:
    whole.blend_audit("plan").write_text("{")
    with pytest.raises(ArtifactRefusal, match=r"plan_audit\.json is damaged"):
        read_artifacts(whole)


@pytest.mark.parametrize(
    "file",
    [
        "folds.csv",
        "experiments/alpha/oof.csv",
        "experiments/alpha/test.csv",
        "experiments/beta/fold_0/history.csv",
    ],
)
def test_a_row_with_too_many_cells_is_named_by_its_line(whole: Workspace, file: str) -> None:
    lines = (whole.folder / file).read_text().splitlines()
    lines[2] += ",1,1"
    (whole.folder / file).write_text("\n".join(lines) + "\n")
    with pytest.raises(ArtifactRefusal, match="line 3") as refusal:
        read_artifacts(whole)
    assert file in refusal.value.found


def test_an_empty_table_is_refused_by_name(whole: Workspace) -> None:
    whole.ensemble("plan_greedy").test.write_text("")
    with pytest.raises(ArtifactRefusal, match=r"plan_greedy/test\.csv"):
        read_artifacts(whole)


@pytest.mark.parametrize("file", ["plan_greedy/weights.json", "plan_greedy/oof.csv"])
def test_a_file_that_is_gone_is_named(whole: Workspace, file: str) -> None:
    (whole.ensembles / file).unlink()
    with pytest.raises(ArtifactRefusal, match=file):
        read_artifacts(whole)


@pytest.mark.parametrize(
    ("old", "new", "line"), [("2,0.5", "2,five", 3), ("1,0.7", "3,0.7", 2), ("2,0.5", "2,inf", 3)]
)
def test_a_damaged_epoch_is_named(whole: Workspace, old: str, new: str, line: int) -> None:
    path = whole.experiment("beta").task(1).history
    replaced(path, old, new)
    with pytest.raises(ArtifactRefusal, match=rf"fold_1/history\.csv, line {line}: "):
        read_artifacts(whole)


def test_an_epoch_that_still_is_a_number_is_told_by_the_hash(whole: Workspace) -> None:
    path = whole.experiment("beta").task(1).history
    replaced(path, "2,0.5", "2,0.4")
    with pytest.raises(ArtifactRefusal, match=r"fold_1/history\.csv is not the file that was written"):
        read_artifacts(whole)


def test_a_changed_row_of_the_split_is_named(whole: Workspace) -> None:
    folds = pd.read_csv(whole.folds, dtype=str).set_index("id")
    cell(whole.folds, ID, "label", 1 - int(folds.loc[ID, "label"]))
    with pytest.raises(ArtifactRefusal, match=f"Unlike every table of predictions: {ID}"):
        read_artifacts(whole)


@pytest.mark.parametrize(("column", "value"), [("label", "-"), ("fold", "1.5"), ("id", "")])
def test_a_damaged_row_of_the_split_is_named_by_its_line(whole: Workspace, column: str, value: str) -> None:
    line = list(pd.read_csv(whole.folds, dtype=str)["id"]).index(ID) + 2
    cell(whole.folds, ID, column, value)
    with pytest.raises(ArtifactRefusal, match=rf"folds\.csv, line {line}: "):
        read_artifacts(whole)


def test_an_unfinished_fold_is_said_and_its_experiment_is_partial(
    lay: Callable[..., Any], tmp_path: Path
) -> None:
    laid = lay(tmp_path / "output")
    laid.experiment("alpha")
    laid.experiment("beta", folds=(1,))
    laid.experiment("late", folds=(0,), concluded=False)
    (laid.workspace.experiments / "none").mkdir()
    config = laid.workspace.experiment("late").config.read_text()
    laid.workspace.experiment("none").config.write_text(config)
    found = read_artifacts(laid.workspace)
    assert [one.metrics.complete for one in found.ranked] == [True, False, False]
    assert {one.name: one.metrics.folds for one in found.ranked[1:]} == {"beta": [1], "late": [0]}
    late = found.named("late")
    assert late is not None
    assert late.metrics.tta_gain == pytest.approx(0.01)
    assert late.metrics.minutes == pytest.approx(63 / 60)
    assert set(late.table["fold"]) == {0}
    assert "beta: fold 0 of 2 is not finished." in found.notes
    assert "none: fold 0, 1 of 2 is not finished." in found.notes
    assert any(note.startswith("late: its run has not come to its end") for note in found.notes)
    assert found.blend_audit is None
    assert found.lead is found.named("alpha")


def test_a_damaged_row_of_a_partial_experiment_is_named(lay: Callable[..., Any], tmp_path: Path) -> None:
    laid = lay(tmp_path / "output")
    laid.experiment("beta", folds=(1,))
    cell(laid.workspace.experiment("beta").task(1).out_of_fold, ID, "logit", "x")
    with pytest.raises(ArtifactRefusal, match=rf"fold_1/oof\.csv holds no finite number for {ID}"):
        read_artifacts(laid.workspace)


def test_a_fold_finished_since_its_scores_were_written_is_said(
    lay: Callable[..., Any], tmp_path: Path
) -> None:
    laid = lay(tmp_path / "output")
    laid.experiment("beta", folds=(1,))
    kept = laid.workspace.experiment("beta").metrics.read_text()
    laid.experiment("beta", concluded=False)
    laid.workspace.experiment("beta").metrics.write_text(kept)
    write_json(laid.workspace.lock_holder, {"pid": 7, "host": "there", "since": "noon"})
    found = read_artifacts(laid.workspace)
    assert found.notes == ("beta: fold 0 has been finished since its scores were written.",)
    assert found.ranked[0].metrics.folds == [1]
    assert found.holder is not None and found.holder.pid == 7


def test_scores_of_an_older_version_get_their_interval(whole: Workspace) -> None:
    for path in whole.folder.glob("e*/*/metrics.json"):
        key(path, ("interval",), None)
    for one in read_artifacts(whole).ranked:
        assert 0.5 < one.interval.low < one.metrics.auc_pooled < one.interval.high <= 1
        assert one.interval.clusters == 24


def test_additions_are_read_without_history_and_test_only_ones_are_said(whole: Workspace) -> None:
    alpha = whole.experiment("alpha")
    for name in ("guest", "stranger"):
        folder = whole.experiment(name)
        folder.folder.mkdir()
        folder.config.write_text(yaml.safe_dump({"kind": "external", "name": name, "fingerprint": "f"}))
    whole.experiment("guest").out_of_fold.write_bytes(alpha.out_of_fold.read_bytes())
    whole.experiment("stranger").test.write_bytes(alpha.test.read_bytes())
    found = read_artifacts(whole)
    guest = found.named("guest")
    assert guest is not None
    assert (guest.metrics.kind, guest.tasks, guest.test) == ("external", (), None)
    assert guest.metrics.auc_pooled == found.named("alpha").metrics.auc_pooled  # type: ignore[union-attr]
    assert found.named("stranger") is None
    assert any(note.startswith("stranger was added with test predictions alone") for note in found.notes)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactRefusal, match="holds no run"):
        read_artifacts(Workspace(tmp_path))
