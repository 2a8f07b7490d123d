"""Tasks one after the other: their order, what is said of each, the budget, and a task that fails."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from histoblend.config_experiment import Experiment
from histoblend.data.views import chosen_views
from histoblend.execution import in_process
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.in_process import Job, run_jobs, trainer
from histoblend.execution.preflight import PlannedExperiment
from histoblend.execution.records import make_record
from histoblend.reporting.progress import Display
from histoblend.training.observer import Observer
from histoblend.training.task import Task
from histoblend.workspace import ExperimentFolder

DATA = {"data": "d1", "data_set": "hcd", "folds": "f1", "side": 96}


def job(folder: Path, name: str, fold: int, network: str = "small_vgg", estimate: float = 10.0) -> Job:
    content = {"name": name, "network": network, "augmentation": "none"}
    experiment = Experiment.model_validate(content)
    planned = PlannedExperiment(experiment, 4, Work(NetworkCost(macs=1), 64, 1, 1), "random", 96)
    record = make_record(experiment, 4, "mixed_float16", DATA)
    return Job(planned, ExperimentFolder(folder / name), fold, record, estimate)


class Machine:
    """A clock that only tasks move on, and what they are to last, now and in earlier sessions, and to give."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self.seconds, self.earlier = 0.0, seconds, 0.0
        self.ran, self.views = list[Task](), 4
        monkeypatch.setattr(in_process, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(in_process, "run_task", self.run_task)
        monkeypatch.setattr(in_process, "trainer", lambda job, observer: None)

    def run_task(self, task: Task, inputs: object, train: object) -> dict[str, Any]:
        self.ran.append(task)
        self.now += self.seconds
        result = {"auc": 0.91234, "auc_one_view": 0.9, "views": self.views, "images_per_second": 321.4}
        return result | {"train_seconds": self.earlier + self.seconds - 1, "prediction_seconds": 1.0}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, seconds=30.0)


def run(jobs: list[Job], budget: float | None = None) -> tuple[bool, list[str]]:
    stream = io.StringIO()
    finished = run_jobs(jobs, None, budget, Display(Console(file=stream)))  # type: ignore[arg-type]
    return finished, stream.getvalue().splitlines()


def test_every_task_runs_once_in_order_and_is_told(machine: Machine, tmp_path: Path) -> None:
    jobs = [job(tmp_path, name, fold) for name in ("a", "b") for fold in (0, 1)]
    finished, lines = run(jobs)
    assert finished
    assert [(task.experiment.name, task.fold) for task in machine.ran] == [
        ("a", 0), ("a", 1), ("b", 0), ("b", 1),
    ]  # fmt: skip
    assert len({task.folder.folder for task in machine.ran}) == 4
    said = "AUC 0.9123, 0.9000 with one view, 321 images/s, 30s"
    assert lines == [
        f"[1/4] a fold 0: {said}, left about 1m30s",
        f"[2/4] a fold 1: {said}, left about 1m00s",
        f"[3/4] b fold 0: {said}, left about 30s",
        f"[4/4] b fold 1: {said}, left about 0s",
    ]


def test_a_single_view_is_not_compared_with_itself(machine: Machine, tmp_path: Path) -> None:
    machine.views = 1
    assert "with one view" not in run([job(tmp_path, "a", 0)])[1][0]


def test_a_task_carries_what_its_record_froze(machine: Machine, tmp_path: Path) -> None:
    one = job(tmp_path, "a", 1)
    run([one])
    assert machine.ran[0].precision == "mixed_float16"  # whatever the device's own is today
    assert machine.ran[0].fingerprint == one.record.fingerprint
    assert machine.ran[0].folder.folder == tmp_path / "a/fold_1"


@pytest.mark.parametrize(("budget", "done"), [(9.0, 0), (59.0, 1), (60.0, 2), (89.0, 2), (90.0, 3)])
def test_no_task_starts_that_would_not_fit_the_budget(
    machine: Machine, tmp_path: Path, budget: float, done: int
) -> None:
    """Estimated at 10 s each; the first takes 30 s, so the others are expected to."""
    finished, lines = run([job(tmp_path, "a", fold) for fold in range(3)], budget)
    assert finished == (done == 3)
    assert len(machine.ran) == done
    if not finished:
        assert lines[-1] == f"{3 - done} tasks do not fit the budget and were not started."


def test_a_resumed_task_tells_what_a_whole_one_takes(machine: Machine, tmp_path: Path) -> None:
    """Its last epoch is no measure of the folds to come; on Kaggle the budget would be overrun."""
    machine.earlier = 500.0
    finished, lines = run([job(tmp_path, "a", fold) for fold in range(2)], budget=400.0)
    assert not finished and len(machine.ran) == 1
    assert lines[0].endswith("30s, left about 8m50s")


def test_a_task_that_fails_is_not_passed_over(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logged and averaged over, a failed fold would flatter or spoil the mean of the others."""
    jobs = [job(tmp_path, "a", fold) for fold in range(3)]

    def failing(task: Task, inputs: object, train: object) -> dict[str, Any]:
        if task.fold == 1:
            raise RuntimeError("out of memory")
        return machine.run_task(task, inputs, train)

    monkeypatch.setattr(in_process, "run_task", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        run(jobs)
    assert [task.fold for task in machine.ran] == [0]


def test_each_kind_of_network_has_its_trainer_and_its_own_clock(tmp_path: Path) -> None:
    trees, network = job(tmp_path, "trees", 0, "texture_hgb"), job(tmp_path, "net", 0)
    assert trainer(trees, Observer()).__name__ == "train_texture"  # type: ignore[attr-defined]
    observer = Observer()
    chosen = trainer(network, observer)
    assert isinstance(chosen, functools.partial) and chosen.func.__name__ == "train_network"
    assert chosen.keywords == {"views": chosen_views(4), "observer": observer}
    assert trees.expected().kind != network.expected().kind
