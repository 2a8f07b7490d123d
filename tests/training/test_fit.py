"""Fitting a tiny network, in process: what training may see, what it keeps, what it shares."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from histoblend.config_experiment import Experiment
from histoblend.data.batches import Sampling, TrainingFeed
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.training_rows import TrainingRows
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.evaluation.auc import auc
from histoblend.inference.predict import network_logits
from histoblend.training.fit import FitJob, InnerRows, build_model, compile_model, fit
from histoblend.training.observer import Observer
from histoblend.training.state import values_of

TRAIN, INNER = np.arange(40), np.arange(40, 60)
LABELS = np.arange(60) % 2


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Noise; positives are darker in their centre."""
    patches = np.random.default_rng(0).integers(100, 200, (60, 96, 96, 3), dtype=np.uint8)
    patches[LABELS == 1, 32:64, 32:64] -= 60
    path = tmp_path_factory.mktemp("fit") / "train.npy"
    np.save(path, patches)
    return str(path)


def experiment(**changes: Any) -> Experiment:
    content: dict[str, Any] = {
        "name": "tiny",
        "network": {"name": "small_vgg", "widths": [4], "depths": [1], "dropout": 0.2},
        "augmentation": "none",
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "schedule": {"name": "constant"},
    }
    training = {"epochs": 3, "batch_size": 8, "tensorboard": False} | changes.pop("training", {})
    return Experiment.model_validate(content | {"training": training} | changes)


def job(images: str, folder: Path, chosen: Experiment, **changes: Any) -> FitJob:
    training = chosen.training
    sampling = Sampling(1, training.batch_size, training.samples_per_epoch, training.balanced)
    feed = TrainingFeed(TrainingRows(images, TRAIN, LABELS[TRAIN]), sampling, [], FeedWorkers(0))
    inner = InnerRows(np.load(images), INNER, LABELS[INNER]) if chosen.needs_inner_split else None
    return replace(FitJob(chosen, feed, "f", "float32", folder / "last.npz", inner), **changes)


def fitted(images: str, folder: Path, chosen: Experiment, **changes: Any) -> tuple[list[np.ndarray], list]:
    model, history = fit(job(images, folder, chosen, **changes))
    return values_of(model.variables), history


BEST = {"epochs": 3, "selection": "best"}


def test_loss_falls_and_the_network_learns(images: str, tmp_path: Path):
    model, history = fit(job(images, tmp_path, experiment(training={"epochs": 8})))
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert auc(LABELS[INNER], network_logits(model)(np.load(images)[INNER])[:, 0]) > 0.9


def test_best_keeps_the_best_epoch_and_its_auc_is_exact(images: str, tmp_path: Path):
    """The inner labels are shuffled, so learning does not help there; what is kept scores what the history says."""
    chosen = experiment(optimizer={"name": "sgd", "learning_rate": 0.5}, training={**BEST, "epochs": 6})
    shuffled = np.random.default_rng(1).permutation(LABELS[INNER])
    inner = InnerRows(np.load(images), INNER, shuffled)
    model, history = fit(job(images, tmp_path, chosen, inner=inner))
    aucs = [row["inner_auc"] for row in history]
    assert aucs[-1] < max(aucs)  # else keeping the last weights would do as well
    logits = network_logits(model)(np.load(images)[INNER])[:, 0]
    assert auc(shuffled, logits) == max(aucs)


def test_two_fits_share_nothing(images: str, tmp_path: Path):
    """A callback, a best score or a file shared by two folds would make the second differ."""
    chosen = experiment(
        schedule={"name": "plateau", "patience": 1}, training={**BEST, "stop_patience": 2, "ema": 0.5}
    )
    alone, history_alone = fitted(images, tmp_path / "alone", chosen)
    fitted(images, tmp_path / "other", chosen.model_copy(update={"seed": 9}))
    second, history = fitted(images, tmp_path / "second", chosen)
    for ours, theirs in zip(alone, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [row["inner_auc"] for row in history] == [row["inner_auc"] for row in history_alone]


def test_early_stopping_stops(images: str, tmp_path: Path):
    chosen = experiment(
        optimizer={"name": "sgd", "learning_rate": 1e-12}, training={"epochs": 9, "stop_patience": 2}
    )
    kept, history = fitted(images, tmp_path, chosen)
    assert len(history) == 3  # the first is the best; two more bring nothing
    again, history = fitted(images, tmp_path, chosen)  # its state says that it has stopped
    assert len(history) == 3
    for ours, theirs in zip(kept, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_plateau_lowers_the_rate_after_its_patience(images: str, tmp_path: Path):
    chosen = experiment(
        optimizer={"name": "sgd", "learning_rate": 1e-6},
        schedule={"name": "plateau", "patience": 1, "factor": 0.5},
        training={"epochs": 4},
    )
    _, history = fitted(images, tmp_path, chosen)
    rates = [row["learning_rate"] for row in history]
    np.testing.assert_allclose(rates, [1e-6, 1e-6, 5e-7, 2.5e-7], rtol=1e-5)


def test_a_plateau_with_warm_up_does_not_waste_its_first_epoch(images: str, tmp_path: Path):
    """Set once an epoch, the rate is the mean of what the epoch's steps would have had."""
    chosen = experiment(schedule={"name": "plateau", "warmup": 0.5}, training={"epochs": 4})
    _, history = fitted(images, tmp_path, chosen)
    np.testing.assert_allclose(
        [row["learning_rate"] for row in history], [0.003, 0.008, 0.01, 0.01], rtol=1e-5
    )


def test_averaged_weights_are_kept_and_training_goes_on_from_the_raw_ones(images: str, tmp_path: Path):
    """With an inner split the averaged weights are scored each epoch; that must not disturb training."""
    watched = experiment(training={"ema": 0.9, "stop_patience": 50})
    unwatched = experiment(training={"ema": 0.9})
    ours, _ = fitted(images, tmp_path / "watched", watched)
    theirs, _ = fitted(images, tmp_path / "unwatched", unwatched)
    for left, right in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(left, right)
    raw, _ = fitted(images, tmp_path / "raw", experiment())
    assert any(not np.allclose(left, right) for left, right in zip(ours, raw, strict=True))


def test_a_finished_state_gives_the_same_weights(images: str, tmp_path: Path):
    chosen = experiment(training={"ema": 0.9})
    once, _ = fitted(images, tmp_path, chosen)
    again, history = fitted(images, tmp_path, chosen)
    assert len(history) == 3
    for left, right in zip(once, again, strict=True):
        np.testing.assert_array_equal(left, right)


def test_statistics_are_right_after_ten_steps(images: str, tmp_path: Path):
    """Keras's moving averages start at mean 0, variance 1 and have hardly moved after ten steps."""
    chosen = experiment(training={"epochs": 2})
    model, _ = fit(job(images, tmp_path, chosen))
    layer = next(one for one in model.layers if isinstance(one, keras.layers.BatchNormalization))
    inside = keras.Model(model.inputs, layer.input)
    values = np.asarray(inside(np.load(images)[TRAIN]))
    np.testing.assert_allclose(layer.moving_variance, values.var(axis=(0, 1, 2)), rtol=0.1, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, values.mean(axis=(0, 1, 2)), rtol=0.05, atol=1e-3)


@pytest.mark.parametrize(
    "training", [{"label_smoothing": 0.4}, {"class_weight": "balanced"}, {"batch_size": 10}]
)
def test_settings_of_the_loss_reach_the_weights(images: str, tmp_path: Path, training: dict[str, Any]):
    rows = TrainingRows(images, TRAIN[:30], LABELS[np.r_[0:20, 20:40:2]])  # two thirds negative
    weights = []
    for number, changes in enumerate(({}, training)):
        one = job(images, tmp_path / str(number), experiment(training={"epochs": 1, **changes}))
        one.feed.source = rows
        weights.append(values_of(fit(one)[0].trainable_variables))
    assert any(not np.allclose(left, right) for left, right in zip(*weights, strict=True))


def test_label_smoothing_has_the_loss_of_its_formula(images: str, tmp_path: Path):
    chosen = experiment(training={"label_smoothing": 0.2})
    model = build_model(chosen, "float32")
    compile_model(model, job(images, tmp_path, chosen))
    logits, labels = np.array([[2.0], [-1.0]], np.float32), np.array([[1.0], [0.0]], np.float32)
    targets = np.array([[0.9], [0.1]])
    expected = np.mean(targets * np.log1p(np.exp(-logits)) + (1 - targets) * np.log1p(np.exp(logits)))
    assert float(model.loss(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_class_weights_have_the_loss_of_their_formula(images: str, tmp_path: Path, class_weight: str):
    """One step over all rows, two thirds of them negative, at a rate that changes nothing."""
    plain = {"name": "small_vgg", "widths": [4], "depths": [1], "normalisation": "none", "dropout": 0.0}
    training = {"epochs": 1, "batch_size": 30, "class_weight": class_weight}
    chosen = experiment(network=plain, optimizer={"name": "sgd", "learning_rate": 1e-12}, training=training)
    rows = TrainingRows(images, TRAIN[:30], LABELS[np.r_[0:20, 20:40:2]])
    negatives, positives = 20, 10
    one = job(images, tmp_path, chosen)
    one.feed.source = rows
    model, history = fit(one)
    logits = network_logits(model)(np.load(images)[rows.rows])[:, 0]
    losses = np.where(rows.labels == 1, np.log1p(np.exp(-logits)), np.log1p(np.exp(logits)))
    assert (rows.labels == 1).sum() == positives
    balanced = np.where(rows.labels == 1, 30 / (2 * positives), 30 / (2 * negatives))
    weights = balanced if class_weight == "balanced" else np.ones(30)
    assert history[0]["loss"] == pytest.approx(np.mean(weights * losses), rel=1e-4)
    if class_weight == "balanced":
        assert abs(np.mean(weights * losses) - np.mean(losses)) > 1e-3


def test_observer_hears_every_epoch(images: str, tmp_path: Path):
    rows: list[dict[str, float]] = []
    fitted(images, tmp_path, experiment(training=BEST), observer=Observer(on_epoch=rows.append))
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert all({"loss", "accuracy", "inner_auc", "images_per_second"} <= row.keys() for row in rows)
    json.dumps(rows)


def test_a_diverged_training_is_told_and_not_scored(images: str, tmp_path: Path):
    plain = {"name": "small_vgg", "widths": [4], "depths": [1], "normalisation": "none"}
    rate = {"name": "sgd", "learning_rate": 1e30}
    chosen = experiment(network=plain, optimizer=rate, training={"stop_patience": 2})
    with pytest.raises(ConfigRefusal, match=r"diverged(.|\n)*learning_rate"):
        fitted(images, tmp_path, chosen)


def test_a_worker_killed_in_the_middle_of_a_fit_is_told(images: str, tmp_path: Path):
    """Keras turns what its dataset raises into an error of TensorFlow's own."""
    pool = FeedWorkers(1)
    try:
        one = job(images, tmp_path, experiment(training={"epochs": 500}))
        one.feed.workers = pool

        def kill(row: dict[str, float]) -> None:
            if row["epoch"] == 2:
                os.kill(next(iter(pool._pool._processes)), signal.SIGKILL)

        one.observer = Observer(on_epoch=kill)
        with pytest.raises(MachineRefusal, match="augments patches died"):
            fit(one)
    finally:
        pool.close()
