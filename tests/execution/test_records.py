from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from histoblend.config import Experiment
from histoblend.errors import ArtifactRefusal
from histoblend.execution.records import Record, differing_keys, make_record, read_record, started_record
from histoblend.workspace import ExperimentFolder

DATA = {"data": "d1", "data_set": "hcd", "folds": "f1"}


def record(views: int = 4, precision: str = "float32", data: dict[str, str] = DATA, **changes: Any) -> Record:
    settings = {"name": "one", "network": "small_vgg", "augmentation": "none"} | changes
    return make_record(Experiment.model_validate(settings), views, precision, data)


@pytest.fixture
def folder(tmp_path: Path) -> ExperimentFolder:
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
    with pytest.raises(ArtifactRefusal, match=r"has changed(.|\n)* -> (.|\n)*histoblend archive one"):
        started_record(folder, new)
    assert read_record(folder) == old


@pytest.mark.parametrize("change", [{"name": "two"}, {"role": "yardstick"}])
def test_name_and_role_are_no_part_of_the_identity(folder: ExperimentFolder, change: dict):
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
