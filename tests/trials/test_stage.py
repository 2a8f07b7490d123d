"""Trials end to end on the toy competition."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.reporting.progress import Display
from histoblend.trials.ground import TrialRequest
from histoblend.trials.recipe import Asked
from histoblend.trials.record import all_records
from histoblend.trials.stage import run_trials


class Heard(Display):
    """A display that remembers."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        super().__init__(Console(file=self.stream, highlight=False, soft_wrap=True))

    @property
    def text(self) -> str:
        return self.stream.getvalue()


def request(toy: Path, output: Path, **changes: object) -> TrialRequest:
    asked = Asked(networks=("small_vgg",), experiments=("second",), recipe="first")
    settings: dict[str, object] = {"minutes": 0.02, "speed_seconds": 0.1} | changes
    return TrialRequest(settings.pop("asked", asked), "toy", toy, output, **settings)  # type: ignore[arg-type]


def test_speeds_first_then_trainings_then_nothing(toy: Path, toy_configs: Path, tmp_path: Path):
    output = tmp_path / "trials"
    run_trials(request(toy, output, speeds_only=True), Heard(), os.environ)
    speeds = {record["name"]: record["speeds"] for record in all_records(output)}
    assert set(speeds) == {"small_vgg", "second"}
    assert all(one["train"] > 0 and one["predict"] > one["train"] for one in speeds.values())
    assert not (output / "experiments").exists()

    run_trials(request(toy, output), Heard(), os.environ)
    records = {record["name"]: record for record in all_records(output)}
    for name, record in records.items():
        assert record["speeds"] == speeds[name]  # reused
        done = json.loads((output / f"experiments/{name}/fold_0/done.json").read_text())
        assert (record["result"]["auc"], record["result"]["patches"]) == (done["auc"], done["patches"])
        assert record["data"]["synthetic"] is False and record["refused"] is None
        assert record["result"]["training_patches"] + done["patches"] == 60
        table = pd.read_csv(output / f"experiments/{name}/fold_0/test.csv")
        assert table.empty  # the test patches are not predicted
    assert records["small_vgg"]["recipe"] == "first" and records["second"]["recipe"] == "second"
    assert records["second"]["network"] == "course_cnn"

    heard = Heard()
    before = (output / "records/second.json").read_bytes()
    run_trials(request(toy, output), heard, os.environ)
    assert heard.text.count("done already") == 2 and "epoch" not in heard.text
    assert (output / "records/second.json").read_bytes() == before

    with pytest.raises(ArtifactRefusal, match="has changed since"):
        run_trials(request(toy, output, minutes=0.1), Heard(), os.environ)


@pytest.mark.slow
def test_one_that_cannot_be_built_does_not_stop_the_others(toy: Path, toy_configs: Path, tmp_path: Path):
    broken = "network: {name: small_vgg, crop: 16}\n"  # the labelled centre is 32
    (toy_configs / "experiments/broken.yaml").write_text(broken)
    asked = Asked(experiments=("broken", "first"))
    with pytest.raises(MachineRefusal, match="1 of 2 trials could not be made: broken"):
        run_trials(request(toy, tmp_path / "trials", asked=asked), Heard(), os.environ)
    refused, made = all_records(tmp_path / "trials")
    assert refused["name"] == "broken" and "network.crop is 16" in refused["refused"]
    assert refused["speeds"] is None and made["result"]["auc"] > 0


def test_no_records_and_damaged_ones_are_refused(tmp_path: Path):
    with pytest.raises(ArtifactRefusal, match="No trial has left a record"):
        all_records(tmp_path)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/one.json").write_text('{"name": "one"}')
    with pytest.raises(ArtifactRefusal, match=r"one\.json is damaged: it lacks network"):
        all_records(tmp_path)
