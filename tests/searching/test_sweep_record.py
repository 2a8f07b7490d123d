"""A sweep goes on where it is the same, under a histoblend that has learned new settings too."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from histoblend.config_experiment import Experiment
from histoblend.errors import ArtifactRefusal
from histoblend.execution.records import Record, make_record
from histoblend.searching.sweep_config import Sweep
from histoblend.searching.sweep_record import keep_or_compare
from histoblend.searching.trial_records import Trial, write_trial

SWEEP = Sweep(
    name="search",
    base="first",
    parameters={"network.dropout": {"low": 0.0, "high": 0.5}, "a": {"choices": [0, 1]}},
)


def record(precision: str = "float32", **changes: Any) -> Record:
    content = {"name": "first", "network": "small_vgg", "augmentation": "none"}
    data = {
        "data": "d",
        "folds": "f",
        "side": 96,
        "classes": ["no", "yes"],
        "synthetic": False,
        "data_set": "s",
    }
    return make_record(Experiment.model_validate(content | changes), 1, precision, data)


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The folder of a sweep with a trial."""
    keep_or_compare(SWEEP, record(), tmp_path)
    write_trial(tmp_path, Trial(1, {"network.dropout": 0.1}, "finished", 0.9))
    return tmp_path


def rewrite(folder: Path, change: Any) -> None:
    path = folder / "sweep.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_record_that_knows_fewer_settings_is_the_same_where_they_stand_at_their_defaults(begun: Path):
    def older(content: dict[str, Any]) -> None:
        del content["experiment"]["training"]["mixup"]
        del content["experiment"]["optimizer"]["first_layer_rate"]
        del content["sweep"]["pruner"]

    rewrite(begun, older)
    keep_or_compare(SWEEP, record(), begun)
    with pytest.raises(ArtifactRefusal, match=r"training\.mixup: .* -> 0\.2"):
        keep_or_compare(SWEEP, record(training={"mixup": 0.2}), begun)
    with pytest.raises(ArtifactRefusal, match=r"sweep\.pruner: median -> none"):
        keep_or_compare(SWEEP.model_copy(update={"pruner": "none"}), record(), begun)


def test_more_trials_are_the_same_and_another_precision_is_not(begun: Path):
    keep_or_compare(SWEEP.model_copy(update={"trials": 99}), record(), begun)
    with pytest.raises(ArtifactRefusal, match="precision: float32 -> mixed_bfloat16"):
        keep_or_compare(SWEEP, record("mixed_bfloat16"), begun)


@pytest.mark.parametrize(
    "damage", [{"sweep": None}, {"sweep": {"base": "first", "odd": 1}}, {"experiment": None}]
)
def test_a_record_that_cannot_be_read_is_refused(begun: Path, damage: dict[str, Any]):
    rewrite(begun, lambda content: content.update(copy.deepcopy(damage)))
    with pytest.raises(ArtifactRefusal, match="is damaged, or of a version"):
        keep_or_compare(SWEEP, record(), begun)
