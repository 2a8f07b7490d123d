"""The table of tasks before a run: what it will do, what it will cost, and what is done already."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from histoblend.config_experiment import Experiment
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.device import Device
from histoblend.execution.preflight import PlannedExperiment
from histoblend.reporting.progress import duration
from histoblend.reporting.task_table import printed_tasks
from histoblend.workspace import Workspace

DEVICE = Device("cpu", "fake CPU", 0, "float32", 2, True, 0)
COST = NetworkCost(macs=123_000_000, parameters=250_000, activations=1)


def planned(name: str = "one", weights: str = "random", **changes: Any) -> PlannedExperiment:
    content = {"name": name, "network": "small_vgg", "augmentation": "light"} | changes
    experiment = Experiment.model_validate(content)
    cost = NetworkCost() if experiment.network.name == "texture_hgb" else COST
    work, size = Work(cost, 64, 32_000, 5_600), experiment.input_size or 96
    return PlannedExperiment(experiment, 4, work, weights, size)


def printed(
    tasks: list[PlannedExperiment], root: Path, folds: tuple[int, ...] = (0, 1, 2), width: int = 80
) -> str:
    stream = io.StringIO()
    table = printed_tasks(tasks, folds, DEVICE, Workspace(root))
    Console(file=stream, width=width).print(table)
    return stream.getvalue()


def lines_of(text: str, name: str) -> tuple[list[str], list[str]]:
    """The words of an experiment's two lines."""
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines) if line.split()[:1] == [name])
    return lines[place].split(), lines[place + 1].split()


def test_a_row_says_what_is_trained_and_what_it_costs(tmp_path: Path) -> None:
    task = planned(training={"epochs": 7}, input_size=128)
    text = printed([task], tmp_path)
    seconds = task.work.seconds("cpu", 2)
    assert lines_of(text, "one") == (
        ["one", "7", "123", "random", "4", duration(seconds)],
        ["small_vgg@128,", "light", "32,000", "0.25M", "nothing", "0,1,2", duration(3 * seconds)],
    )
    assert f"3 tasks to do {duration(3 * seconds)}" in " ".join(text.split())
    assert "on fake CPU; times are estimates until measured" in " ".join(text.split())


def test_what_is_done_is_not_counted_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for fold in (0, 2):
        done = workspace.experiment("one").task(fold).done
        done.parent.mkdir(parents=True)
        times = {"train_seconds": 6000.0, "prediction_seconds": 600.0, "device": DEVICE.label}
        done.write_text(json.dumps(times))
    tasks = [planned(), planned("two", network="texture_hgb")]
    seconds = tasks[1].work.seconds("cpu", 2)
    text = printed(tasks, tmp_path)
    assert lines_of(text, "one")[0][-1] == lines_of(text, "one")[1][-1] == "1h50m"  # as measured
    assert lines_of(text, "one")[1][-2] == "1"
    assert f"4 tasks to do {duration(6600 + 3 * seconds)}" in " ".join(text.split())
    finished = printed([tasks[0]], tmp_path, folds=(0, 2))
    assert lines_of(finished, "one")[1][-2:] == ["done", "0s"]
    assert "0 tasks to do 0s" in " ".join(finished.split())


@pytest.mark.parametrize(
    "recipe",
    [
        {"training": {"selection": "best"}},
        {"training": {"stop_patience": 3}},
        {"schedule": {"name": "plateau"}},
    ],
    ids=str,
)
def test_what_watches_an_inner_split_is_marked(tmp_path: Path, recipe: dict) -> None:
    assert "inner split" in printed([planned(**recipe)], tmp_path)
    assert "inner split" not in printed([planned()], tmp_path)


def test_weights_own_augmentations_and_yardsticks(tmp_path: Path) -> None:
    own = [{"name": "HorizontalFlip", "p": 0.5}]
    text = printed(
        [
            planned("filed", "/kaggle/input/weights/densenet121_notop.h5"),
            planned("fetched", "download", augmentation=own),
            planned("trees", network="texture_hgb"),
        ],
        tmp_path,
    )
    assert lines_of(text, "filed")[0][3] == "file"
    assert lines_of(text, "fetched")[0][3] == "download"
    assert lines_of(text, "fetched")[1][:3] == ["small_vgg@96,", "own", "list"]
    assert lines_of(text, "trees")[0][:2] == ["trees", "none"]
    assert lines_of(text, "trees")[1][:2] == ["texture_hgb", "nothing"]


def test_a_long_name_is_folded_and_not_cut(tmp_path: Path) -> None:
    name = "a_name_as_long_as_no_experiment_should_ever_have_it_and_some_more"
    text = printed([planned(name)], tmp_path)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert name in "".join(line.split()[0] for line in text.splitlines() if line.split())
