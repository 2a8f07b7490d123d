from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from histoblend.config_experiment import Experiment
from histoblend.config_training import Training
from histoblend.data.augmentation_presets import PRESETS
from histoblend.errors import ArtifactRefusal
from histoblend.execution.records import (
    Record,
    check_teachers_data,
    differing_keys,
    make_record,
    read_record,
    record_differences,
    started_record,
    teacher_fingerprints,
)
from histoblend.models.parameters import SmallVgg
from histoblend.models.registry import NETWORKS
from histoblend.workspace import ExperimentFolder, Workspace

DATA = {"data": "d1", "data_set": "hcd", "folds": "f1", "side": 96, "classes": ["no tumour", "tumour"]}


def record(views: int = 4, precision: str = "float32", data: dict[str, Any] = DATA, **changes: Any) -> Record:
    settings = {"name": "one", "network": "small_vgg", "augmentation": "none"} | changes
    return make_record(Experiment.model_validate(settings), views, precision, data)


@pytest.fixture
def folder(tmp_path: Path) -> ExperimentFolder:
    """Of an experiment whose first task has begun."""
    (tmp_path / "one/fold_0").mkdir(parents=True)
    return ExperimentFolder(tmp_path / "one")


CHANGES = [
    {"training": {"epochs": 3}},
    {"network": {"name": "small_vgg", "dropout": 0.1}},
    {"augmentation": "light"},
    {"seed": 1},
    {"views": 8},
    {"data": {**DATA, "data": "d2"}},
    {"data": {**DATA, "folds": "f2"}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_what_changes_the_numbers_changes_the_fingerprint_and_stops(folder: ExperimentFolder, change: dict):
    old, new = started_record(folder, record()), record(**change)
    assert new.fingerprint != old.fingerprint
    with pytest.raises(ArtifactRefusal, match=r"has changed(.|\n)* -> (.|\n)*archive one --output"):
        started_record(folder, new)
    assert read_record(folder) == old


def test_a_changed_teacher_changes_its_student(folder: ExperimentFolder):
    student = Experiment.model_validate(
        {"name": "one", "network": "small_vgg", "training": {"pseudo_labels": {"teachers": ["t"]}}}
    )
    old, same, new = (make_record(student, 4, "float32", DATA, {"t": one}) for one in ("aaa", "aaa", "bbb"))
    assert old.fingerprint == same.fingerprint != new.fingerprint
    started_record(folder, old)
    with pytest.raises(ArtifactRefusal, match=r"teachers\.t: aaa -> bbb"):
        started_record(folder, new)


def test_teachers_of_other_data_or_folds_are_refused(tmp_path: Path):
    workspace = Workspace(tmp_path)
    student = Experiment.model_validate(
        {"name": "one", "network": "small_vgg", "training": {"pseudo_labels": {"teachers": ["t"]}}}
    )
    assert teacher_fingerprints(student, workspace) == {"t": None}
    teacher = started_record(workspace.experiment("t"), record(data={**DATA, "folds": "f2"}))
    prints = teacher_fingerprints(student, workspace)
    assert prints == {"t": teacher.fingerprint}
    with pytest.raises(ArtifactRefusal, match=r"Teacher t .* on other folds"):
        check_teachers_data(make_record(student, 4, "float32", DATA, prints), workspace)
    started_record(workspace.experiment("t"), record())
    check_teachers_data(make_record(student, 4, "float32", DATA, prints), workspace)


@pytest.mark.parametrize(
    "change", [{"name": "two"}, {"role": "yardstick"}, {"recipe": ["a", "b"]}, {"seeds": [0, 1]}]
)
def test_name_role_recipe_and_seeds_are_no_part_of_the_identity(folder: ExperimentFolder, change: dict):
    old = started_record(folder, record())
    assert record(**change).fingerprint == old.fingerprint
    assert started_record(folder, record(**change)) == old


def test_automatic_precision_stays_what_it_was_at_the_first_start(folder: ExperimentFolder):
    first = started_record(folder, record(precision="mixed_float16"))
    assert started_record(folder, record(precision="float32")) == first
    assert read_record(folder).precision == "mixed_float16"


def test_a_precision_that_was_named_is_compared(folder: ExperimentFolder):
    started_record(folder, record(precision="mixed_float16"))
    with pytest.raises(ArtifactRefusal, match="precision"):
        named = {"name": "one", "network": "small_vgg", "augmentation": "none", "precision": "float32"}
        started_record(folder, make_record(Experiment.model_validate(named), 4, "float32", DATA))


def test_differences_are_named_key_by_key():
    old, new = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 3, "c": [1]}, "e": 4}
    assert dict(differing_keys(old, new)) == {
        "a.b": "a.b: 1 -> 3",
        "d": "d: 2 -> (none)",
        "e": "e: (none) -> 4",
    }


LIGHT = {"name": "one", "network": "small_vgg", "augmentation": "light"}


def test_a_changed_preset_is_a_changed_experiment(folder: ExperimentFolder, monkeypatch: pytest.MonkeyPatch):
    """The file still says `light`: what it stands for is what was trained with."""
    started_record(folder, record(**LIGHT))
    gentler = [{"name": "HorizontalFlip", "p": 0.5}]
    monkeypatch.setitem(PRESETS, "light", gentler)
    with pytest.raises(ArtifactRefusal, match=r"experiment\.augmentation: .*D4.* -> .*HorizontalFlip"):
        started_record(folder, record(**LIGHT))


def test_a_changed_default_of_a_network_is_a_changed_experiment(
    folder: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
):
    class WithMoreDropout(SmallVgg):
        dropout: float = 0.45

    started_record(folder, record())
    row = replace(NETWORKS["small_vgg"], settings=WithMoreDropout)
    monkeypatch.setitem(NETWORKS, "small_vgg", row)
    with pytest.raises(ArtifactRefusal, match=r"experiment\.network\.dropout: 0\.2 -> 0\.45"):
        started_record(folder, record())
    stated = {"name": "small_vgg", "dropout": 0.2}
    assert started_record(folder, record(network=stated)) == read_record(folder)


@pytest.mark.parametrize(
    "spelled_out",
    [
        {"network": {"name": "small_vgg", "dropout": SmallVgg().dropout, "widths": list(SmallVgg().widths)}},
        {"augmentation": PRESETS["light"]},
        {"training": {"epochs": Training().epochs}, "seed": 0},
    ],
    ids=["network", "augmentation", "training"],
)
def test_a_default_spelled_out_changes_nothing(folder: ExperimentFolder, spelled_out: dict):
    old = started_record(folder, record(**LIGHT))
    assert started_record(folder, record(**LIGHT | spelled_out)) == old
    assert record(**LIGHT | spelled_out).fingerprint == old.fingerprint


def test_the_record_survives_its_own_file(folder: ExperimentFolder):
    """What YAML reads back equals what was written: else every second run would look changed."""
    network = {"name": "small_resnet", "widths": [8, 16], "blocks": [1, 1]}
    fresh = record(
        network=network,
        augmentation="heavy",
        optimizer={"learning_rate": 1e-3},
        schedule={"name": "step", "milestones": [0.3, 0.6]},
    )
    started_record(folder, fresh)
    assert read_record(folder) == fresh
    assert record_differences(read_record(folder), fresh) == []


@pytest.mark.parametrize("key", ["experiment", "precision", "fingerprint"])
def test_a_damaged_record_is_refused_by_what_it_lacks(folder: ExperimentFolder, key: str):
    started_record(folder, record())
    lines = folder.config.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{key}:"))
    end = next((n for n, line in enumerate(lines) if n > start and line[0] != " "), len(lines))
    folder.config.write_text("\n".join(lines[:start] + lines[end:]) + "\n")
    with pytest.raises(ArtifactRefusal, match=f"lacks {key}(.|\n)*archive one --output"):
        started_record(folder, record())


def test_before_any_task_has_begun_there_is_nothing_to_protect(tmp_path: Path):
    """A run that was stopped, or refused, between its records and its first task."""
    folder = ExperimentFolder(tmp_path / "one")
    old, new = started_record(folder, record()), record(seed=1)
    assert started_record(folder, new) == new == read_record(folder) != old
    folder.task(2).folder.mkdir()
    with pytest.raises(ArtifactRefusal, match=r"experiment\.seed: 1 -> 0"):
        started_record(folder, record())


def test_the_same_data_under_another_name_are_the_same(folder: ExperimentFolder):
    old = started_record(folder, record())
    assert started_record(folder, record(data={**DATA, "data_set": "hcd-copy"})) == old


def test_settings_of_training_do_not_concern_an_estimator_on_statistics(folder: ExperimentFolder):
    """`--set training.epochs=2` for a plan must not cost the yardstick its result; its own parameters do."""
    old = started_record(folder, record(network="texture_hgb"))
    assert (
        started_record(folder, record(network="texture_hgb", training={"epochs": 3}, precision="float32"))
        == old
    )
    with pytest.raises(ArtifactRefusal, match="iterations"):
        started_record(folder, record(network={"name": "texture_hgb", "iterations": 7}))


def without(record: Record, *keys: str) -> Record:
    """The record as a histoblend that did not know these settings would have written it."""
    content = json.loads(json.dumps(record.content))
    for key in keys:
        block = content["experiment"]
        *path, last = key.split(".")
        for part in path:
            block = block[part]
        del block[last]
    return Record(content)


LATER = ("recipe", "seeds", "training.mixup", "training.stages", "optimizer.first_layer_rate")


def test_outputs_made_before_a_setting_existed_go_on(folder: ExperimentFolder):
    old = without(record(), *LATER)
    folder.config.write_text(yaml.safe_dump(old.content, sort_keys=False))
    assert record_differences(old, record()) == []
    assert started_record(folder, record()) == old  # its fingerprint is what its tasks were made with


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"training": {"mixup": 0.2}}, "experiment.training.mixup: 0.0 -> 0.2"),
        ({"optimizer": {"first_layer_rate": 0.5}}, "experiment.optimizer.first_layer_rate: 1.0 -> 0.5"),
    ],
)
def test_a_setting_it_did_not_know_counts_when_it_is_used(change: dict, line: str):
    assert record_differences(without(record(), *LATER), record(**change)) == [line]


def test_a_default_that_changes_stops_what_was_made_before_there_was_a_setting(
    monkeypatch: pytest.MonkeyPatch,
):
    """The old output was made without mixup, whatever a file that says nothing of it means today."""

    class Blending(Training):
        mixup: float = 0.3

    plain = Experiment.model_validate({"name": "one", "network": "small_vgg", "augmentation": "none"})
    monkeypatch.setattr(Experiment.model_fields["training"], "default", Blending())
    fresh = make_record(plain.model_copy(update={"training": Blending()}), 4, "float32", DATA)
    old = without(record(), "training.mixup")
    assert record_differences(old, fresh) == ["experiment.training.mixup: 0.0 -> 0.3"]


def test_a_setting_that_the_old_record_should_have_counts():
    """Damaged, or added to histoblend without saying what it was before."""
    assert record_differences(without(record(), "seed"), record()) == ["experiment.seed: (none) -> 0"]


def test_a_teacher_that_is_gone_is_told_as_such():
    student = Experiment.model_validate(
        {"name": "one", "network": "small_vgg", "training": {"pseudo_labels": {"teachers": ["t"]}}}
    )
    old, new = (make_record(student, 4, "float32", DATA, {"t": one}) for one in ("aaa", None))
    assert record_differences(old, new) == ["teachers.t: not there any more (aaa -> None)"]


def test_added_predictions_are_no_teacher_and_stop_no_other_run(tmp_path: Path):
    """A plan's student that was not asked for is compared all the same."""
    workspace = Workspace(tmp_path)
    folder = workspace.experiment("t")
    folder.folder.mkdir(parents=True)
    folder.config.write_text("kind: external\nfingerprint: abc\nfolds: f1\n")
    student = Experiment.model_validate(
        {"name": "one", "network": "small_vgg", "training": {"pseudo_labels": {"teachers": ["t"]}}}
    )
    prints = teacher_fingerprints(student, workspace)
    assert prints == {"t": None}
    check_teachers_data(make_record(student, 4, "float32", DATA, prints), workspace)


def test_a_setting_that_is_no_more_counts():
    content = json.loads(json.dumps(record().content))
    content["experiment"]["training"]["cutmix"] = 0.5
    assert record_differences(Record(content), record()) == ["experiment.training.cutmix: 0.5 -> (none)"]
