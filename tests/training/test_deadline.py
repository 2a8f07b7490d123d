"""A training that has to stop: at which epoch's end it does, and that it goes on to the same weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoblend.config_experiment import Experiment
from histoblend.data.batches import Sampling, TrainingFeed
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.training_rows import TrainingRows
from histoblend.training.deadline import Deadline, Pace, TaskPaused
from histoblend.training.fit import FitJob, InnerRows, fit
from histoblend.training.observer import Observer
from histoblend.training.state import values_of
from histoblend.training.state_about import saved_epochs

LABELS = np.arange(36) % 2


@dataclass
class Time:
    """A clock that epochs move on: the lengths of those to come, the last one for all that follow."""

    lengths: list[float] = field(default_factory=lambda: [1.0])
    now: float = 0.0
    epochs: int = 0

    def epoch(self, row: dict[str, float]) -> None:
        self.now += self.lengths[min(self.epochs, len(self.lengths) - 1)]
        self.epochs += 1

    def deadline(self, seconds: float, closing: float = 0.0) -> Deadline:
        return Deadline(self.now + seconds, closing, lambda: self.now)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    patches = np.random.default_rng(0).integers(100, 200, (36, 16, 16, 3), dtype=np.uint8)
    patches[LABELS == 1, 4:12, 4:12] -= 60
    path = tmp_path_factory.mktemp("deadline") / "train.npy"
    np.save(path, patches)
    return str(path)


def job(images: str, folder: Path, **training: Any) -> FitJob:
    content = {
        "name": "tiny",
        "network": {"name": "small_vgg", "widths": [4, 4], "depths": [1, 1], "dropout": 0.2},
        "augmentation": "none",
        "training": {"epochs": 4, "batch_size": 12, "tensorboard": False} | training,
    }
    chosen = Experiment.model_validate(content)
    sampling = Sampling(1, 12, None, False, chosen.training.mixup)
    feed = TrainingFeed(TrainingRows(images, np.arange(24), LABELS[:24]), sampling, [], FeedWorkers(0))
    rows = np.arange(24, 36)
    inner = InnerRows(np.load(images), rows, LABELS[rows]) if chosen.needs_inner_split else None
    return FitJob(
        chosen, feed, "f", "float32", folder / "last.npz", inner, problem=chosen.problem(16, 2), device="cpu"
    )


def session(one: FitJob, time: Time, deadline: Deadline) -> Any:
    """The weights that are kept, or the epochs after which it was paused."""
    try:
        model, _ = fit(replace(one, observer=Observer(on_epoch=time.epoch), deadline=deadline))
    except TaskPaused as paused:
        return paused.epochs
    return values_of(model.variables)


RECIPE = {
    "stages": [{"until": 0.25, "body": 0.0}, {"until": 0.5, "body": 0.5}],
    "mixup": 0.4,
    "average_last": 0.5,
    "selection": "best",
}


def test_cut_at_every_epoch_and_before_its_end_it_gives_the_same_weights(images: str, tmp_path: Path):
    """At the borders of stages, after the first epoch, after the last one; the last sessions train nothing."""
    time = Time()
    expected = values_of(fit(job(images, tmp_path / "whole", **RECIPE))[0].variables)
    cut = job(images, tmp_path / "cut", **RECIPE)
    assert [session(cut, time, time.deadline(1.0)) for _ in range(3)] == [1, 2, 3]
    assert session(cut, time, time.deadline(1.0, closing=0.5)) == 4 == time.epochs
    assert session(cut, time, time.deadline(0.4, closing=0.5)) == 4 == time.epochs
    for ours, theirs in zip(session(cut, time, time.deadline(0.5, 0.5)), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert time.epochs == 4


@pytest.mark.parametrize(
    ("lengths", "seconds", "epochs"),
    [
        ([1.0], 2.9, 2),  # a third one would end at 3
        ([1.0], 3.0, 3),
        ([2.0, 1.0], 4.5, 2),  # the slowest of the last three is the first one
        ([0.1], 0.0, 1),  # one epoch brings it on, whatever was thought
    ],
)
def test_an_epoch_is_begun_only_where_the_slowest_of_the_last_would_end_in_time(
    images: str, tmp_path: Path, lengths: list[float], seconds: float, epochs: int
):
    time = Time(lengths)
    assert session(job(images, tmp_path), time, time.deadline(seconds)) == epochs
    history, device = saved_epochs(tmp_path / "last.npz") or ([], "")
    assert len(history) == epochs and device == "cpu"


def test_without_a_deadline_nothing_stops_and_a_slow_epoch_is_forgotten_after_three():
    time = Time()
    pace = Pace(Deadline(11.0, now=lambda: time.now))
    for length in (5.0, 1.0, 1.0):
        pace.epoch_begins()
        time.now += length
        pace.epoch_ends()
    assert not pace.allows_epoch()  # 7 + 5 > 11
    pace.epoch_begins()
    time.now += 1.0
    pace.epoch_ends()
    assert pace.allows_epoch()  # 8 + 1
    assert Pace(None).allows_epoch() and Pace(None).allows_closing()


def test_prediction_is_thought_as_much_too_short_as_epochs_were():
    time = Time()
    pace = Pace(Deadline(15.0, 4.0, lambda: time.now, epoch_seconds=1.0))
    pace.epoch_begins()
    time.now += 3.0
    pace.epoch_ends()
    assert pace.allows_closing()  # 3 + 3 x 4
    time.now += 0.1
    assert not pace.allows_closing()


def test_a_state_that_cannot_be_read_says_nothing(tmp_path: Path):
    (tmp_path / "last.npz").write_bytes(b"PK\x03\x04 no archive")
    assert saved_epochs(tmp_path / "last.npz") is None
