"""What happens between two epochs, on a model of three weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from histoblend.training import callbacks
from histoblend.training.callbacks import (
    REFRESH_SECONDS,
    AverageWeights,
    Bookkeeping,
    EpochRecord,
    InnerSplit,
    RateByEpoch,
    SaveState,
    StepProgress,
    inner_aucs,
)
from histoblend.training.selection import should_stop
from histoblend.training.state import load_state, values_of


@pytest.fixture
def model() -> keras.Model:
    built = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    built.compile(optimizer=keras.optimizers.Adam(0.25))
    built.optimizer.build(built.trainable_variables)
    set_weights(built, 1.0)
    return built


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: time[0]))
    return time


def set_weights(model: keras.Model, value: float) -> None:
    for variable in model.variables:
        variable.assign(np.full(variable.shape, value, np.float32))


def weight(arrays: list[np.ndarray]) -> float:
    values = {float(value) for array in arrays for value in array.ravel()}
    assert len(values) == 1
    return values.pop()


def record(*aucs: float) -> EpochRecord:
    return EpochRecord([{"epoch": number + 1, "inner_auc": auc} for number, auc in enumerate(aucs)], [])


def test_a_row_holds_the_epoch_from_one_its_rate_and_its_speed(model: keras.Model, now: list[float]) -> None:
    kept = EpochRecord([], [])
    callback = Bookkeeping(kept, images_per_epoch=600)
    callback.set_model(model)
    callback.on_epoch_begin(3)
    now[0] += 2.0
    callback.on_epoch_end(3, {"loss": np.float32(0.5), "accuracy": 0.75})
    expected = {"epoch": 4, "loss": 0.5, "accuracy": 0.75, "learning_rate": 0.25}
    assert kept.history == [{**expected, "seconds": 2.0, "images_per_second": 300.0}]


class Watched:
    """An inner split whose AUCs are given, on a model whose kept weights are its raw ones plus ten."""

    def __init__(self, model: keras.Model, aucs: list[float], **settings: Any) -> None:
        self.model, self.aucs, self.scored = model, iter(aucs), list[float]()
        self.record = EpochRecord([], [])
        patience = settings.pop("patience", None)
        wanted = {
            "keep_best": True,
            "stop": lambda history: should_stop(inner_aucs(history), patience),
        } | settings
        self.callback = InnerSplit(self.record, self.finish, self.score, **wanted)
        self.callback.set_model(model)
        model.stop_training = False

    def finish(self) -> None:
        set_weights(self.model, weight(values_of(self.model.variables)) + 10)

    def score(self) -> float:
        self.scored.append(weight(values_of(self.model.variables)))
        return next(self.aucs)

    def epochs(self, count: int) -> None:
        """Train: the raw weights of epoch k are k."""
        for epoch in range(1, count + 1):
            set_weights(self.model, epoch)
            self.record.history.append({"epoch": epoch})
            self.callback.on_epoch_end(epoch - 1, {})
            assert weight(values_of(self.model.variables)) == epoch, "training goes on from the raw weights"


def test_what_is_scored_and_kept_is_what_would_be_kept_at_the_end(model: keras.Model) -> None:
    watched = Watched(model, [0.6, 0.9, 0.7, 0.9])
    watched.epochs(4)
    assert watched.scored == [11, 12, 13, 14]
    assert [row["inner_auc"] for row in watched.record.history] == [0.6, 0.9, 0.7, 0.9]
    assert weight(watched.record.best) == 12  # the first of equals
    set_weights(model, -1)
    assert weight(watched.record.best) == 12  # a copy


def test_without_selection_no_best_is_kept(model: keras.Model) -> None:
    watched = Watched(model, [0.6, 0.9], keep_best=False)
    watched.epochs(2)
    assert watched.record.best == [] and model.stop_training is False


def test_training_stops_after_its_patience_and_not_before(model: keras.Model) -> None:
    watched = Watched(model, [0.6, 0.9, 0.7, 0.8], patience=2)
    watched.epochs(3)
    assert model.stop_training is False
    watched.epochs(1)
    assert model.stop_training is True


def test_a_second_task_knows_nothing_of_the_first(model: keras.Model) -> None:
    Watched(model, [0.99], patience=1).epochs(1)
    second = Watched(model, [0.6], patience=1)
    second.epochs(1)
    assert weight(second.record.best) == 11 and model.stop_training is False


def test_the_inner_auc_reaches_the_logs_for_tensorboard(model: keras.Model) -> None:
    watched = Watched(model, [0.75])
    watched.record.history.append({"epoch": 1})
    logs: dict[str, float] = {}
    watched.callback.on_epoch_end(0, logs)
    assert logs == {"inner_auc": 0.75}


def test_the_rate_follows_from_epoch_and_history(model: keras.Model) -> None:
    kept, asked = record(0.5, 0.6), []

    def rate(epoch: int, history: list[dict[str, float]]) -> float:
        asked.append((epoch, len(history)))
        return 0.125

    callback = RateByEpoch(kept, rate)
    callback.set_model(model)
    callback.on_epoch_begin(2)
    assert asked == [(2, 2)]
    assert float(model.optimizer.learning_rate) == 0.125


def test_the_saved_state_is_that_of_the_epochs_end(model: keras.Model, tmp_path: Path) -> None:
    kept = record(0.5, 0.6)
    kept.best = [np.full((2, 1), 7, np.float32), np.full(1, 7, np.float32)]
    callback = SaveState(tmp_path / "state/last.npz", "print", kept)
    callback.set_model(model)
    set_weights(model, 3)
    callback.on_epoch_end(1)
    set_weights(model, 4)
    state = load_state(tmp_path / "state/last.npz", "print")
    assert weight(state.model) == 3 and weight(state.best) == 7
    assert state.history == kept.history
    assert [value.shape for value in state.optimizer] == [tuple(v.shape) for v in model.optimizer.variables]
    callback.on_epoch_end(2)
    assert weight(load_state(tmp_path / "state/last.npz", "print").model) == 4


def test_steps_are_told_now_and_then_and_epochs_always(now: list[float]) -> None:
    steps: list[tuple[int, int, float]] = []
    rows: list[dict[str, float]] = []
    kept = record(0.5)
    callback = StepProgress(kept, lambda *step: steps.append(step), rows.append)
    callback.on_epoch_begin(4)
    for batch in range(4):
        callback.on_train_batch_end(batch, {"loss": 0.5 + batch})
        now[0] += REFRESH_SECONDS / 2
    assert steps == [(4, 1, 0.5), (4, 3, 2.5)]
    callback.on_epoch_end(4)
    assert rows == [kept.history[-1]]


def test_the_mean_of_the_last_epochs_weights_is_their_mean(model: keras.Model):
    record = EpochRecord([], [])
    callback = AverageWeights(record, model.trainable_variables, first=2)
    for epoch, value in enumerate([9.0, 7.0, 1.0, 2.0, 6.0]):
        set_weights(model, value)
        callback.on_epoch_end(epoch)
        assert bool(record.average) == (epoch >= 2)
    for mean in record.average:
        np.testing.assert_allclose(mean, 3.0, rtol=1e-6)
        assert mean.dtype == np.float32


def test_a_mean_goes_on_after_a_resume(model: keras.Model):
    set_weights(model, 2.0)
    record = EpochRecord([], [], [np.full(v.shape, 5.0, np.float32) for v in model.trainable_variables])
    AverageWeights(record, model.trainable_variables, first=0).on_epoch_end(
        2
    )  # of three epochs, two are known
    for mean in record.average:
        np.testing.assert_allclose(mean, 4.0, rtol=1e-6)
