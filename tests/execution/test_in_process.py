"""Tasks one after the other: their order, what is said of each, one that is cut, and one that fails."""

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
from histoblend.errors import MachineRefusal
from histoblend.execution import in_process
from histoblend.execution.clock import Estimate
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.device import Device
from histoblend.execution.failures import TaskError
from histoblend.execution.in_process import run_jobs
from histoblend.execution.jobs import Job, task_estimate, trainer
from histoblend.execution.preflight import PlannedExperiment
from histoblend.execution.records import make_record
from histoblend.execution.session_budget import Outcome, SessionBudget
from histoblend.reporting.progress import Display
from histoblend.training.deadline import TaskPaused
from histoblend.training.observer import Observer
from histoblend.training.task import Task
from histoblend.workspace import ExperimentFolder

DATA = {"data": "d1", "data_set": "hcd", "folds": "f1", "side": 96}


def job(
    folder: Path,
    name: str,
    fold: int,
    network: str = "small_vgg",
    seconds: float = 10.0,
    teachers: tuple[str, ...] = (),
) -> Job:
    content: dict[str, Any] = {"name": name, "network": network, "augmentation": "none"}
    content["training"] = {"epochs": 5, **({"pseudo_labels": {"teachers": teachers}} if teachers else {})}
    experiment = Experiment.model_validate(content)
    planned = PlannedExperiment(experiment, 4, Work(NetworkCost(macs=1), 64, 1, 1), "random", 96)
    record = make_record(experiment, 4, "mixed_float16", DATA, dict.fromkeys(teachers))
    estimate = Estimate(name, "keras", seconds, epochs=5, fold=fold)
    return Job(planned, ExperimentFolder(folder / name), fold, record, estimate)


class Machine:
    """A clock that only tasks move on, and what they are to last and to give."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds
        self.ran, self.views = list[Task](), 4
        monkeypatch.setattr(in_process, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(in_process, "run_task", self.run_task)
        monkeypatch.setattr(in_process, "trainer", lambda job, observer: None)

    def run_task(self, task: Task, inputs: object, train: object) -> dict[str, Any]:
        self.ran.append(task)
        if task.deadline is not None and not task.deadline.allows(self.seconds):
            self.now = task.deadline.ends - 1.0
            raise TaskPaused(3)
        self.now += self.seconds
        result = {"auc": 0.91234, "auc_one_view": 0.9, "views": self.views, "images_per_second": 321.4}
        return result | {"train_seconds": self.seconds, "prediction_seconds": 0.0}

    def run(self, jobs: list[Job], budget: float | None = None) -> tuple[Outcome, list[str]]:
        stream = io.StringIO()
        session = None if budget is None else SessionBudget(budget, budget, lambda: self.now)
        inputs = SimpleNamespace(device=SimpleNamespace(label="here"))
        outcome = run_jobs(jobs, inputs, session, Display(Console(file=stream)))  # type: ignore[arg-type]
        return outcome, stream.getvalue().splitlines()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, seconds=30.0)


def test_every_task_runs_once_in_order_and_is_told(machine: Machine, tmp_path: Path) -> None:
    jobs = [job(tmp_path, name, fold) for name in ("a", "b") for fold in (0, 1)]
    outcome, lines = machine.run(jobs)
    assert outcome.finished == jobs and outcome.unfinished == []
    assert [(task.experiment.name, task.fold) for task in machine.ran] == [
        ("a", 0), ("a", 1), ("b", 0), ("b", 1),
    ]  # fmt: skip
    assert len({task.folder.folder for task in machine.ran}) == 4
    said = "AUC 0.9123, 0.9000 with one view, 321 images/s, 30s"
    assert lines[0] == "[1/4] a fold 0: started, takes about 10s"
    assert lines[-2] == "[4/4] b fold 1: started, takes about 30s"
    assert lines[1::2] == [
        f"[1/4] a fold 0: {said}, left about 1m30s",
        f"[2/4] a fold 1: {said}, left about 1m00s",
        f"[3/4] b fold 0: {said}, left about 30s",
        f"[4/4] b fold 1: {said}, left about 0s",
    ]


def test_a_single_view_is_not_compared_with_itself(machine: Machine, tmp_path: Path) -> None:
    machine.views = 1
    assert "with one view" not in machine.run([job(tmp_path, "a", 0)])[1][-1]


def test_a_task_carries_what_its_record_froze(machine: Machine, tmp_path: Path) -> None:
    one = job(tmp_path, "a", 1)
    machine.run([one])
    assert machine.ran[0].precision == "mixed_float16"  # whatever the device's own is today
    assert machine.ran[0].fingerprint == one.record.fingerprint
    assert machine.ran[0].folder.folder == tmp_path / "a/fold_1"


@pytest.mark.parametrize(("budget", "done"), [(9.0, 0), (59.0, 1), (60.0, 2), (89.0, 2), (90.0, 3)])
def test_no_estimator_starts_that_would_not_fit_the_budget(
    machine: Machine, tmp_path: Path, budget: float, done: int
) -> None:
    """Estimated at 10 s each; the first takes 30 s, so the others are expected to."""
    outcome, _ = machine.run([job(tmp_path, "a", fold, "texture_hgb") for fold in range(3)], budget)
    assert len(outcome.finished) == len(machine.ran) == done
    assert [one.fold for one in outcome.unfinished] == list(range(done, 3))
    assert outcome.seconds_left == (3 - done) * (30.0 if done else 10.0)


def test_a_task_that_is_cut_is_told_before_and_after_and_the_next_one_that_fits_runs(
    machine: Machine, tmp_path: Path
) -> None:
    jobs = [job(tmp_path, "long", 0, seconds=300.0), job(tmp_path, "trees", 0, "texture_hgb", 0.5)]
    machine.seconds = 200.0
    outcome, lines = machine.run(jobs[:1], budget=100.0)
    assert lines == [
        "[1/1] long fold 0: takes about 5m00s, more than is left; to be cut at an epoch's end, for the next session",
        "[1/1] long fold 0: stopped after epoch 3 of 5, its state is saved",
    ]
    assert outcome.unfinished == jobs[:1] and outcome.finished == []
    machine.now, machine.seconds = 0.0, 40.0
    outcome, lines = machine.run([job(tmp_path, "short", 0, seconds=0.3), jobs[1]], budget=30.0)
    assert [task.experiment.name for task in machine.ran[1:]] == ["short", "trees"]
    assert [one.experiment.name for one in outcome.unfinished] == ["short"]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (KeyError("x"), TaskError, "a fold 1: KeyError: 'x'"),
        (MemoryError("no room"), MachineRefusal, "Memory ran out in a fold 1(.|\n)*batch_size"),
        (OSError("RESOURCE_EXHAUSTED: No space left on device"), TaskError, "a fold 1"),
    ],
)
def test_a_task_that_fails_ends_its_experiment_and_the_run_after_the_others(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: type[Exception],
    words: str,
) -> None:
    """Logged and averaged over, a failed fold would flatter or spoil the mean of the others."""
    jobs = [job(tmp_path, name, fold) for name in ("a", "b") for fold in range(3)]
    jobs.append(job(tmp_path, "student", 0, teachers=("a",)))

    def failing(task: Task, inputs: object, train: object) -> dict[str, Any]:
        if task.fold == 1:
            raise error
        return machine.run_task(task, inputs, train)

    monkeypatch.setattr(in_process, "run_task", failing)
    outcome, lines = machine.run([*jobs[:3], jobs[3], jobs[5], jobs[6]])
    assert outcome.finished == [jobs[0], jobs[3], jobs[5]]
    assert outcome.unfinished == [jobs[1], jobs[2], jobs[6]]
    with pytest.raises(kind, match=words) as caught:
        outcome.raise_failure()
    assert "in failing" in str(caught.value.__cause__) and "in failing" in "\n".join(lines)
    assert "[2/6] a fold 1: FAILED." in "\n".join(lines)


def test_a_refusal_concerns_all_tasks(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(task: Task, inputs: object, train: object) -> dict[str, Any]:
        machine.ran.append(task)
        raise MachineRefusal("The disk is full.")

    monkeypatch.setattr(in_process, "run_task", refusing)
    with pytest.raises(MachineRefusal, match="disk is full"):
        machine.run([job(tmp_path, name, 0) for name in ("a", "b")])
    assert len(machine.ran) == 1


CPU = Device("cpu", "x86", 0, "float32", threads=2, deterministic=True, workers=0)


def test_each_kind_of_network_has_its_trainer_and_its_own_clock(tmp_path: Path) -> None:
    trees, network = job(tmp_path, "trees", 0, "texture_hgb"), job(tmp_path, "net", 0)
    assert trainer(trees, Observer()).__name__ == "train_texture"  # type: ignore[attr-defined]
    observer = Observer()
    chosen = trainer(network, observer)
    assert isinstance(chosen, functools.partial) and chosen.func.__name__ == "train_network"
    assert chosen.keywords == {"views": chosen_views(4), "observer": observer}
    estimates = [task_estimate(one.planned, 3, CPU) for one in (trees, network)]
    assert [(one.kind, one.epochs, one.fold) for one in estimates] == [("features", 1, 3), ("keras", 5, 3)]
    assert [trees.can_be_cut, network.can_be_cut] == [False, True]
