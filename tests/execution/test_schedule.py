"""Which task comes next under a budget: begun ones, folds that complete an experiment, what fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoblend.config_experiment import Experiment
from histoblend.execution.clock import Estimate
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.jobs import Job
from histoblend.execution.preflight import PlannedExperiment
from histoblend.execution.records import make_record
from histoblend.execution.schedule import Schedule
from histoblend.execution.session_budget import SessionBudget
from histoblend.training.observer import Observer
from histoblend.workspace import ExperimentFolder

HERE, THERE = "x86 CPU, 2 threads", "T4"
DATA = {"data": "d1", "data_set": "hcd", "folds": "f1", "side": 96}


def job(folder: Path, name: str, fold: int = 0, seconds: float = 100.0, teacher: str = "") -> Job:
    """Of `seconds`: 10 to start, 4 epochs, 10 of prediction; all in one piece where it is an estimator."""
    network = "texture_hgb" if name == "trees" else "small_vgg"
    training = {"epochs": 4, **({"pseudo_labels": {"teachers": [teacher]}} if teacher else {})}
    experiment = Experiment.model_validate(
        {"name": name, "network": network, "augmentation": "none", "training": training}
    )
    planned = PlannedExperiment(experiment, 4, Work(NetworkCost(macs=1), 64, 1, 1), "random", 96)
    record = make_record(experiment, 4, "float32", DATA, {teacher: None} if teacher else None)
    kind = ("features", seconds, 0.0, 0.0, 1) if name == "trees" else ("keras", seconds - 10, 10.0, 10.0, 4)
    return Job(planned, ExperimentFolder(folder / name), fold, record, Estimate(name, *kind, fold))


def begun(one: Job, epochs: int, seconds: float, device: str = HERE) -> Job:
    one.tasks_folder.state.parent.mkdir(parents=True)
    about = {"history": [{"seconds": seconds}] * epochs, "device": device}
    np.savez(one.tasks_folder.state, about=np.frombuffer(json.dumps(about).encode(), np.uint8))
    return one


def done(one: Job, training: float, prediction: float, device: str | None = HERE) -> Job:
    one.tasks_folder.folder.mkdir(parents=True)
    content = {"train_seconds": training, "prediction_seconds": prediction} | (
        {} if device is None else {"device": device}
    )
    one.tasks_folder.done.write_text(json.dumps(content))
    return one


class Session:
    """A schedule under a budget, and the clock that it looks at."""

    def __init__(self, jobs: list[Job], seconds: float | None, *, used: float = 0.0, lanes: int = 1) -> None:
        self.now = used
        budget = None if seconds is None else SessionBudget(seconds, seconds, lambda: self.now)
        self.schedule = Schedule(jobs, HERE, budget, lanes)

    def taken(self) -> str | None:
        """Name and fold of the task that is taken next."""
        self.job = self.schedule.take()
        return None if self.job is None else f"{self.job.experiment.name}{self.job.fold}"

    def finish(self, training: float = 90.0, prediction: float = 10.0) -> None:
        assert self.job is not None
        self.now += training + prediction
        result: dict[str, Any] = {"train_seconds": training, "prediction_seconds": prediction}
        self.schedule.finish(self.job, result, training + prediction)

    def order(self) -> list[str]:
        """All that is taken, each finished as estimated."""
        found = []
        while (name := self.taken()) is not None:
            assert self.job is not None
            found.append(name)
            self.finish(self.job.estimate.training, self.job.estimate.prediction)
        return found

    def left(self) -> list[tuple[str, int, float]]:
        outcome = self.schedule.outcome()
        return [
            (f"{one.job.experiment.name}{one.job.fold}", one.epochs_done, one.seconds) for one in outcome.left
        ]


def test_without_a_budget_the_order_stays_and_nothing_has_a_deadline(tmp_path: Path):
    jobs = [job(tmp_path, "a"), begun(job(tmp_path, "b"), 2, 1.0), job(tmp_path, "a", 1)]
    session = Session(jobs, None)
    assert session.schedule.deadline(jobs[0]) is None
    assert session.order() == ["a0", "b0", "a1"]
    assert session.schedule.outcome().left == []


def test_what_does_not_fit_waits_and_a_later_task_that_fits_does_not(tmp_path: Path):
    jobs = [job(tmp_path, "a"), job(tmp_path, "b", seconds=180), job(tmp_path, "c", seconds=99.9)]
    session = Session(jobs, 200.0)
    assert session.order() == ["c0", "a0"]
    assert session.left() == [("b0", 0, 180.0)]
    assert [one.name for one in session.schedule.outcome().finished] == ["c fold 0", "a fold 0"]


@pytest.mark.parametrize(
    ("budget", "order"), [(99.9, []), (100.0, ["trees0"]), (200.0, ["trees0", "trees1"])]
)
def test_the_end_of_the_budget_is_exact(tmp_path: Path, budget: float, order: list[str]):
    assert Session([job(tmp_path, "trees", fold) for fold in (0, 1)], budget).order() == order


def test_a_begun_task_comes_first_then_folds_that_complete_an_experiment(tmp_path: Path):
    jobs = [job(tmp_path, "a", seconds=110), job(tmp_path, "b", 0), job(tmp_path, "b", 1), job(tmp_path, "c")]
    done(jobs[1], 90.0, 10.0)
    begun(jobs[3], 2, 20.0)
    session = Session(jobs, 1000.0)
    assert [session.taken(), session.taken(), session.taken()] == ["c0", "b1", "a0"]
    assert session.schedule.number(jobs[3]) == "[3/3]"  # of what is to be done


def test_an_experiment_that_can_be_completed_comes_before_one_that_cannot(tmp_path: Path):
    """Five folds of a do not fit, of b they do; of folds that are left, the one that completes an experiment."""
    folds = [job(tmp_path, "a", fold) for fold in range(5)]
    folds += [job(tmp_path, "b", fold, seconds=50) for fold in range(5)]
    assert Session(folds, 400.0).order() == ["b0", "b1", "b2", "b3", "b4", "a0"]
    for one in (folds[1], *folds[5:8]):
        done(one, 90.0, 10.0)
    begun(folds[0], 2, 20.0)
    assert Session(folds, 200.0).order() == ["b3", "b4", "a0"]


def test_folds_that_run_count_as_begun_and_lanes_share_the_work(tmp_path: Path):
    """Side by side two folds of a take 200 s, and a third as long again."""
    jobs = [job(tmp_path, "a", fold, seconds=200) for fold in range(3)]
    jobs += [job(tmp_path, "b", fold, seconds=190) for fold in range(4)]
    session = Session(jobs, 400.0, lanes=2)
    assert [session.taken() for _ in range(3)] == ["a0", "a1", "a2"]
    assert Session(jobs, 399.9, lanes=2).taken() == "b0"


def test_epochs_of_a_running_task_teach_what_the_others_take(tmp_path: Path):
    jobs = [job(tmp_path, "a", fold) for fold in range(2)]
    heard: list[dict[str, float]] = []
    session = Session(jobs, 300.0, lanes=2)
    assert session.taken() == "a0" and not session.schedule.is_cut(jobs[1])
    taught = session.schedule.taught_by(jobs[0], Observer(on_epoch=heard.append))
    for number in (1, 2):
        taught.on_epoch({"epoch": number, "seconds": 100.0})
    assert len(heard) == 2
    assert session.schedule.is_cut(jobs[1])  # 410 s and prediction, not 100


def test_a_begun_task_goes_on_if_one_epoch_fits(tmp_path: Path):
    jobs = [job(tmp_path, "a"), begun(job(tmp_path, "b"), 2, 20.0)]
    epoch = Session(jobs, 100.0, used=70.0)  # 10 to start and 20
    assert epoch.taken() == "b0"
    assert epoch.schedule.is_cut(jobs[1])
    assert Session(jobs, 100.0, used=70.1).taken() is None


def test_a_task_whose_training_is_finished_needs_its_prediction_in_one_piece(tmp_path: Path):
    jobs = [begun(job(tmp_path, "a"), 4, 20.0)]
    assert Session(jobs, 100.0, used=80.1).taken() is None
    fitting = Session(jobs, 100.0, used=80.0)  # 10 to start, 10 to predict
    assert fitting.taken() == "a0"
    deadline = fitting.schedule.deadline(jobs[0])
    assert deadline is not None and (deadline.ends, deadline.closing_seconds) == (100.0, 10.0)
    assert deadline.allows(20.0) and not deadline.allows(20.1)


def test_a_task_too_long_for_any_session_is_begun_behind_all_that_fits(tmp_path: Path):
    """Else it would never be made; one that only does not fit today is not begun."""
    jobs = [job(tmp_path, "long", seconds=1000), job(tmp_path, "a"), job(tmp_path, "b", seconds=350)]
    session = Session(jobs, 400.0)
    assert session.taken() == "a0"
    session.finish()
    assert session.taken() == "long0"  # 10 and an epoch of 245 are less than the 300 that are left
    session.schedule.pause(session.job)  # type: ignore[arg-type]
    assert session.taken() is None
    assert Session(jobs, 400.0, used=146.0).order() == ["a0"]


def test_an_estimator_too_long_for_any_session_is_not_begun(tmp_path: Path):
    session = Session([job(tmp_path, "trees", seconds=500)], 400.0)
    assert session.taken() is None
    assert session.schedule.outcome().left[0].piece == 500.0


def test_the_smallest_piece_is_an_epoch_with_its_start(tmp_path: Path):
    jobs = [job(tmp_path, "a", seconds=500), job(tmp_path, "b", seconds=180)]
    pieces = [one.piece for one in Session(jobs, 1.0).schedule.outcome().left]
    assert pieces == [10 + (500 - 20) / 4, 10 + (180 - 20) / 4]


def test_a_student_waits_for_its_teacher_of_the_same_fold(tmp_path: Path):
    jobs = [job(tmp_path, "t", 0), job(tmp_path, "t", 1), job(tmp_path, "s", 0, teacher="t"),
            job(tmp_path, "s", 1, teacher="t")]  # fmt: skip
    session = Session(jobs, 1000.0, lanes=2)
    assert session.taken() == "t0"
    first = session.job
    assert [session.taken(), session.taken()] == ["t1", None]  # both teachers are running
    session.job = first
    session.finish()
    assert session.taken() == "s0"


def test_a_student_of_a_paused_teacher_is_left(tmp_path: Path):
    jobs = [job(tmp_path, "t", seconds=500), job(tmp_path, "s", seconds=1.0, teacher="t")]
    session = Session(jobs, 400.0)
    assert session.taken() == "t0"
    begun(jobs[0], 3, 30.0)
    session.schedule.pause(jobs[0])
    assert session.taken() is None
    t, s = session.left()
    assert t == ("t0", 3, pytest.approx(10 + 30 + 10 * 130 / 490))  # prediction as far off as epochs
    assert s[:2] == ("s0", 0)


def test_folds_of_earlier_sessions_are_witnesses_on_the_same_device_only(tmp_path: Path):
    jobs = [job(tmp_path, "a", fold) for fold in range(5)]
    done(jobs[0], 200.0, 20.0)
    done(
        jobs[1], 400.0, 40.0, device=None
    )  # of a version that did not say: of this folder, so of this device
    done(jobs[2], 9000.0, 900.0, device=THERE)
    begun(jobs[3], 1, 5000.0, device=THERE)
    assert Session(jobs, None).left() == [("a3", 1, 330.0), ("a4", 0, 330.0)]


def test_what_a_task_took_in_all_sessions_is_the_measure(tmp_path: Path):
    """Its last epoch alone would let the folds to come overrun the budget."""
    session = Session([job(tmp_path, "a", fold) for fold in (0, 1)], 400.0)
    session.taken()
    session.schedule.finish(session.job, {"train_seconds": 500.0, "prediction_seconds": 9.0}, 30.0)  # type: ignore[arg-type]
    assert session.left() == [("a1", 0, 509.0)]
