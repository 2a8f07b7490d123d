"""Runs with an experiment that learns from pseudo-labels: order, refusals, identity, and what it never sees."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from histoblend.config_experiment import Experiment
from histoblend.data.decode import decode_patch
from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.pipeline import run
from histoblend.predicting.trained import load_trained
from histoblend.preparation import Prepared, Request, prepare
from histoblend.training.teachers import check_teachers
from histoblend.workspace import Workspace

# The student stands in its plan before its teachers.
CONFIGS = {
    "plans/taught.yaml": """
experiments: [student, texture, first]
data: {near_duplicates: keep}
report: false
folds: {count: 2}
tta: 1
""",
    "experiments/first.yaml": """
network: {name: small_vgg, widths: [4, 8], depths: [1, 1]}
augmentation: none
training: {epochs: 1, batch_size: 16, tensorboard: false}
""",
    "experiments/texture.yaml": "network: texture_hgb\nrole: yardstick\nviews: 1\n",
    "experiments/student.yaml": """
base: first
training: {pseudo_labels: {teachers: [first, texture], weight: 0.5}}
""",
}


def written(folder: Path) -> Path:
    for name, text in CONFIGS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = written(tmp_path / "project/configs")
    monkeypatch.setenv("HISTOBLEND_CONFIGS", str(folder))
    return folder


Again = Callable[..., tuple[pd.DataFrame, str]]


@pytest.fixture
def again(listening: type[Any]) -> Again:
    """Runs the plan, and what it said."""

    def run_it(toy: Path, output: Path, **request: object) -> tuple[pd.DataFrame, str]:
        heard = listening()
        ranking = run(Request("taught", toy, output, **request), heard, dict(os.environ))
        return ranking, heard.text

    return run_it


@pytest.fixture(scope="module")
def output_once(
    toy: Path, tmp_path_factory: pytest.TempPathFactory, listening: type[Any]
) -> tuple[Path, str]:
    project = tmp_path_factory.mktemp("taught")
    heard = listening()
    environment = {"HISTOBLEND_CONFIGS": str(written(project / "configs"))}
    run(Request("taught", toy, project / "output"), heard, environment)
    return project / "output", heard.text


@pytest.fixture
def output(output_once: tuple[Path, str], tmp_path: Path, configs: Path) -> Path:
    return Path(shutil.copytree(output_once[0], tmp_path / "output"))


def test_teachers_go_first_and_the_run_says_what_was_learned_from(output_once: tuple[Path, str]):
    folder, text = output_once
    tasks = re.findall(r"^\[\d/6\] (\w+ fold \d): AUC", text, re.MULTILINE)
    assert tasks[-2:] == ["student fold 0", "student fold 1"] and len(tasks) == 6
    assert "beside 30 labelled patches 21 of 21 test patches as fold 1 of first, texture sees them" in text
    for fold in (0, 1):
        learned = json.loads((folder / f"experiments/student/fold_{fold}/done.json").read_text())["teachers"]
        for name, found in learned.items():
            done = json.loads((folder / f"experiments/{name}/fold_{fold}/done.json").read_text())
            assert done["files"]["test.csv"] == found
    ranking = pd.read_csv(folder / "ranking.csv").set_index("name")
    blends = ranking["kind"] == "blend"
    assert ranking.loc[blends, "pseudo_labels"].all() and "taught_logit_mean" in ranking.index[blends]
    alone = ranking.loc[~blends, "pseudo_labels"].to_dict()
    assert alone == {"first": False, "student": True, "texture": False}
    assert "learned from test patches" in text


def test_a_second_run_does_nothing_again(again: Again, toy: Path, output: Path):
    _, text = again(toy, output)
    assert "6 of 6 tasks are done already." in text


def test_a_student_alone_goes_by_what_is_finished(again: Again, toy: Path, output: Path):
    shutil.rmtree(output / "experiments/student")
    _, text = again(toy, output, experiments=("student",), folds=(0,))
    assert "[1/1] student fold 0: AUC" in text
    shutil.rmtree(output / "experiments/first/fold_1")
    with pytest.raises(
        ConfigRefusal, match=r"first, which is not in this run (.|\n)*fold 1 (.|\n)*first,texture,student"
    ):
        again(toy, output, experiments=("student",))


def test_teachers_that_are_nowhere_are_refused_before_anything_is_done(
    again: Again, toy: Path, tmp_path: Path, configs: Path
):
    with pytest.raises(ConfigRefusal, match="student learns from first, which is not in this run"):
        again(toy, tmp_path / "output", experiments=("student",), dry_run=True)
    assert not (tmp_path / "output").exists()


def test_a_changed_teacher_is_a_changed_student(again: Again, toy: Path, output: Path):
    shutil.rmtree(output / "experiments/first")
    with pytest.raises(
        ArtifactRefusal, match=r"student has changed (.|\n)*teachers\.first: \w{12} -> \w{12}"
    ):
        again(toy, output, settings=("training.batch_size=8",), experiments=("first", "student"))


def test_a_damaged_teacher_comes_back_the_same_and_the_student_stands(again: Again, toy: Path, output: Path):
    table = output / "experiments/first/fold_0/test.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[:-5])
    _, text = again(toy, output)
    assert "5 of 6 tasks are done already." in text
    assert table.read_bytes() == whole


def test_another_table_of_a_teacher_is_refused(again: Again, toy: Path, output: Path):
    folder = output / "experiments/first/fold_0"
    done = json.loads((folder / "done.json").read_text())
    student = output / "experiments/student/fold_0/done.json"
    record = json.loads(student.read_text())
    assert record["teachers"]["first"] == done["files"]["test.csv"]
    student.write_text(json.dumps(record | {"teachers": record["teachers"] | {"first": "another"}}))
    with pytest.raises(ArtifactRefusal, match="learned from another table of first"):
        again(toy, output)


def test_a_stale_student_that_was_not_asked_for_is_left_out(again: Again, toy: Path, output: Path):
    """A teacher's table has changed since, and this run trains another experiment."""
    student = output / "experiments/student/fold_0/done.json"
    record = json.loads(student.read_text())
    student.write_text(json.dumps(record | {"teachers": record["teachers"] | {"first": "another"}}))
    ranking, text = again(toy, output, experiments=("texture", "first"))
    assert "student learned from another table of first than is there now: left out." in text
    weights = json.loads((output / "ensembles/taught_logit_mean/weights.json").read_text())["weights"]
    assert set(weights) == {"first"}
    assert ranking is not None


def test_a_dry_run_knows_finished_students(again: Again, toy: Path, output: Path):
    _, text = again(toy, output, dry_run=True)
    assert "0 tasks to do" in text


def test_a_student_predicts_like_any_other(toy: Path, output: Path):
    test = pd.read_csv(output / "experiments/student/test.csv", float_precision="round_trip")[:5]
    patches = np.stack([decode_patch(toy / "test" / f"{one}.tif") for one in test["id"]])
    logits = load_trained("student", Workspace(output)).logits(patches)
    np.testing.assert_allclose(
        logits[:, 0], test["logit"], rtol=2e-2, atol=2e-2
    )  # bfloat16, in other batches


def test_data_without_a_test_part_has_no_pseudo_labels(tmp_path: Path):
    student = Experiment.model_validate(
        {"name": "s", "network": "small_vgg", "training": {"pseudo_labels": {"teachers": ["t"]}}}
    )
    with pytest.raises(ConfigRefusal, match="no test part"):
        check_teachers([student], (0,), 0, Workspace(tmp_path))


def test_known_labels_of_test_patches_are_no_part_of_it(
    again: Again, toy: Path, output: Path, monkeypatch: pytest.MonkeyPatch
):
    """A student trained where all test labels are known and turned round is the same file for file."""
    before = {path.name: path.read_bytes() for path in (output / "experiments/student/fold_0").glob("*.csv")}
    shutil.rmtree(output / "experiments/student")
    test = pd.read_csv(toy / "sample_submission.csv")
    labels = [number % 2 for number in range(len(test))]

    def knowing(request: Request, *others: object, **how: bool) -> Prepared:
        prepared = prepare(request, *others, **how)
        known = dataclasses.replace(prepared.competition, known_labels=test[["id"]].assign(label=labels))
        return dataclasses.replace(prepared, source=dataclasses.replace(prepared.source, competition=known))

    monkeypatch.setattr("histoblend.pipeline.prepare", knowing)
    ranking, _ = again(toy, output, experiments=("student",), folds=(0,))
    assert ranking["local_leaderboard"].notna().any()  # they were there to be seen
    after = {path.name: path.read_bytes() for path in (output / "experiments/student/fold_0").glob("*.csv")}
    assert {name for name in before if before[name] == after[name]} >= {"oof.csv", "test.csv"}
