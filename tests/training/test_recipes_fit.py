"""Stages, rates by depth, averages and blended patches in a whole fit; killed at any epoch, the same weights."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from histoblend.config_experiment import Experiment
from histoblend.config_files import recipe_content
from histoblend.data.batches import Sampling, TrainingFeed
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.training_rows import TrainingRows
from histoblend.models.registry import build_network
from histoblend.training.fit import FitJob, InnerRows, build_model, compile_model, fit
from histoblend.training.keeping import statistics_batches
from histoblend.training.normalisation import recompute_statistics
from histoblend.training.observer import Observer
from histoblend.training.state import assign_values, load_state, values_of

CONFIGS = Path(__file__).parents[2] / "configs"
LABELS = np.arange(36) % 2
TRAIN, INNER = np.arange(24), np.arange(24, 36)
STAGES = [{"until": 0.25, "body": 0.0}, {"until": 0.5, "body": 0.5}]
# The body's layers with weights, in order; the second half learns in the second stage.
BODY = ["conv2d", "batch_normalization", "conv2d_1", "batch_normalization_1"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    patches = np.random.default_rng(0).integers(100, 200, (36, 24, 24, 3), dtype=np.uint8)
    patches[LABELS == 1, 8:16, 8:16] -= 60
    path = tmp_path_factory.mktemp("recipes") / "train.npy"
    np.save(path, patches)
    return str(path)


def experiment(network: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    small = {"name": "small_vgg", "widths": [4, 4], "depths": [1, 1], "dropout": 0.2}
    content: dict[str, Any] = {
        "name": "tiny",
        "network": small | (network or {}),
        "augmentation": "none",
        "optimizer": {"name": "adam", "learning_rate": 0.01} | changes.pop("optimizer", {}),
    }
    training = {"epochs": 4, "batch_size": 12, "tensorboard": False} | changes.pop("training", {})
    return Experiment.model_validate(content | {"training": training} | changes)


def job(images: str, folder: Path, chosen: Experiment, **changes: Any) -> FitJob:
    training = chosen.training
    sampling = Sampling(1, training.batch_size, training.samples_per_epoch, training.balanced, training.mixup)
    feed = TrainingFeed(TrainingRows(images, TRAIN, LABELS[TRAIN]), sampling, [], FeedWorkers(0))
    inner = InnerRows(np.load(images), INNER, LABELS[INNER]) if chosen.needs_inner_split else None
    one = FitJob(chosen, feed, "f", "float32", folder / "last.npz", inner, problem=chosen.problem(24, 2))
    return replace(one, **changes)


def named(chosen: Experiment, *states: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Values of all variables by ``layer/weight``, of the untrained network and of each of `states`."""
    variables = build_model(chosen, "float32", chosen.problem(24, 2)).variables
    paths = [variable.path for variable in variables]
    return [dict(zip(paths, values, strict=True)) for values in (values_of(variables), *states)]


def states(images: str, folder: Path, chosen: Experiment) -> list[dict[str, np.ndarray]]:
    """All variables at the start and after each epoch, before anything is averaged."""
    found: list[list[np.ndarray]] = []
    path = folder / "last.npz"
    watching = Observer(on_epoch=lambda row: found.append(load_state(path, "f").model))
    fit(job(images, folder, chosen, observer=watching))
    return named(chosen, *found)


@pytest.fixture(scope="module")
def staged(images: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """What `states` finds of a training in stages."""
    return states(images, tmp_path_factory.mktemp("staged"), experiment(training={"stages": STAGES}))


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    """Layers of which anything changed, dropout's seed aside."""
    paths = [path for path in before if "seed" not in path]
    return {path.rpartition("/")[0] for path in paths if not np.array_equal(before[path], after[path])}


def test_a_stage_moves_its_layers_and_not_a_bit_of_the_others(staged: list[dict[str, np.ndarray]]):
    """Kernels, offsets and the statistics of the normalisations; one epoch, one, and two."""
    changed = [moved(before, after) for before, after in itertools.pairwise(staged)]
    assert changed == [{"logit"}, {"logit", *BODY[2:]}, {"logit", *BODY}, {"logit", *BODY}]


def test_a_frozen_normalisation_predicts_while_the_head_learns(images: str, tmp_path: Path):
    """The loss of a stage's first step, at no rate, is that of the network in inference mode."""
    still = {"name": "sgd", "learning_rate": 1e-12}
    training = {"epochs": 2, "batch_size": 24, "stages": [{"until": 0.5, "body": 0.0}]}
    chosen = experiment({"dropout": 0.0}, optimizer=still, training=training)
    _, history = fit(job(images, tmp_path, chosen))
    model = build_model(chosen, "float32", chosen.problem(24, 2))
    losses = []
    for learning in (False, True):
        logits = np.asarray(model(np.load(images)[TRAIN], training=learning))[:, 0]
        losses.append(np.mean(np.log1p(np.exp(np.where(LABELS[TRAIN] == 1, -logits, logits)))))
    np.testing.assert_allclose([row["loss"] for row in history], losses, rtol=1e-4)
    assert abs(losses[0] - losses[1]) > 1e-3


def test_a_step_goes_as_far_as_the_depth_of_its_layer_says(images: str, tmp_path: Path):
    """One step of plain descent: two convolutions before the head, the first at a hundredth of the rate."""
    plain = {"normalisation": "none", "dropout": 0.0}
    rate = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}
    training = {"epochs": 1, "batch_size": 24}
    whole, slowed = (
        states(images, tmp_path / str(first), experiment(plain, optimizer=rate | more, training=training))
        for first, more in enumerate(({}, {"first_layer_rate": 0.01}))
    )
    for layer, share in {"conv2d": 0.01, "conv2d_1": 0.1, "logit": 1.0}.items():
        kernel = f"{layer}/kernel"
        step, far = slowed[1][kernel] - slowed[0][kernel], whole[1][kernel] - whole[0][kernel]
        assert np.abs(far).max() > 1e-5
        np.testing.assert_allclose(step, share * far, rtol=0.05, atol=3e-8)


def test_the_rate_goes_on_through_the_stages(images: str, tmp_path: Path):
    plain, staged = experiment(), experiment(training={"stages": STAGES})
    rates = [
        [row["learning_rate"] for row in fit(job(images, tmp_path / str(number), chosen))[1]]
        for number, chosen in enumerate((plain, staged))
    ]
    assert rates[0] == rates[1]
    assert len(set(rates[0])) == 4


@pytest.mark.parametrize("watches", ["stop_patience", "plateau"])
def test_no_patience_is_lost_while_the_body_is_frozen(images: str, tmp_path: Path, watches: str):
    """Nothing gets better at no rate: patience counts from the first epoch in which all layers learn."""
    training: dict[str, Any] = {"epochs": 8, "stages": STAGES}
    if watches == "plateau":
        schedule = {"name": "plateau", "patience": 1, "factor": 0.5}
    else:
        schedule, training["stop_patience"] = {"name": "constant"}, 1
    still = {"name": "sgd", "learning_rate": 1e-12}
    _, history = fit(job(images, tmp_path, experiment(optimizer=still, schedule=schedule, training=training)))
    rates = [row["learning_rate"] / 1e-12 for row in history]
    if (
        watches == "plateau"
    ):  # the first epochs of the two later stages climb: three quarters on the mean of two steps
        np.testing.assert_allclose(rates, [1, 1, 0.75, 1, 0.75, 1, 0.5, 0.25], rtol=1e-4)
    else:
        assert (
            len(history) == 6
        )  # two epochs of each stage; the last begins with the fifth, and one brings nothing


def test_the_rate_of_a_fresh_optimizer_climbs_over_an_epoch(images: str, tmp_path: Path):
    """Adam's first steps are of full size whatever the gradient: not at the peak, on layers just unfrozen."""
    chosen = experiment(schedule={"name": "constant"}, training={"stages": STAGES})
    one = job(images, tmp_path, chosen)
    model = build_model(chosen, "float32", one.problem)
    found = {}
    for first in (0, 2):
        compile_model(model, one, first)
        found[first] = [float(model.optimizer._learning_rate(step)) for step in range(4)]
    np.testing.assert_allclose(found[0], [0.01] * 4, rtol=1e-6)
    np.testing.assert_allclose(found[2], [0.005, 0.01, 0.01, 0.01], rtol=1e-6)


def test_a_moving_average_does_not_disturb_the_stages(
    images: str, staged: list[dict[str, np.ndarray]], tmp_path: Path
):
    """Keras puts the average into the model at the end of each call: the next stage begins from the raw weights."""
    averaged = states(images, tmp_path, experiment(training={"stages": STAGES, "ema": 0.9}))
    for before, after in zip(staged, averaged, strict=True):
        assert moved(before, after) == set()


class Killed(Exception):
    """Raised in the place of a kill."""


def killed_after(epoch: int) -> Observer:
    def on_epoch(row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            raise Killed

    return Observer(on_epoch=on_epoch)


EVERYTHING = {
    "stages": STAGES, "mixup": 0.4, "class_weight": "balanced", "average_last": 0.5, "selection": "best",
}  # fmt: skip


@pytest.mark.parametrize(
    ("training", "precision"),
    [
        pytest.param(EVERYTHING, "float32", id="mean"),
        pytest.param(
            {"stages": STAGES, "ema": 0.8, "stop_patience": 50},
            "mixed_float16",
            id="moving",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"average_last": 0.6, "mixup": 0.2}, "mixed_bfloat16", id="whole", marks=pytest.mark.slow
        ),
    ],
)
def test_killed_after_every_epoch_gives_the_same_weights(
    images: str, tmp_path: Path, training: dict[str, Any], precision: str
):
    """Every border between two stages among them."""
    chosen = experiment(
        optimizer={"name": "adamw", "weight_decay": 0.1, "first_layer_rate": 0.2}, training=training
    )
    whole, history = fit(job(images, tmp_path / "whole", chosen, precision=precision))
    expected = values_of(whole.variables)
    for epoch in (1, 2, 3):
        with pytest.raises(Killed):
            fit(job(images, tmp_path / "cut", chosen, precision=precision, observer=killed_after(epoch)))
    again, resumed = fit(job(images, tmp_path / "cut", chosen, precision=precision))
    for ours, theirs in zip(values_of(again.variables), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    same = ("epoch", "loss", "accuracy", "learning_rate", "inner_auc")
    assert [[row.get(key) for key in same] for row in resumed] == [
        [row.get(key) for key in same] for row in history
    ]


def test_staged_fine_tuning_leaves_a_pretrained_body_alone_while_the_head_learns(images: str, tmp_path: Path):
    """The recipe as it is shipped, on a backbone whose weights come from a file; its first stage, then killed."""
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(7)
    published = build_network("mobilenet_v2", {"weights": "none"}, experiment(input_size=32).problem(24, 2))
    [body] = [layer for layer in published.layers if isinstance(layer, keras.Model)]
    body.save_weights(tmp_path / "body.weights.h5")
    recipe = recipe_content("finetune_staged", CONFIGS, "here")
    recipe["training"] = recipe["training"] | {"epochs": 10, "batch_size": 12, "tensorboard": False}
    network = {"name": "mobilenet_v2", "weights": str(tmp_path / "body.weights.h5")}
    chosen = Experiment.model_validate(
        {"name": "staged", "network": network, "input_size": 32, "augmentation": "none", **recipe}
    )
    with pytest.raises(Killed):
        fit(job(images, tmp_path, chosen, observer=killed_after(1)))
    before, after = named(chosen, load_state(tmp_path / "last.npz", "f").model)
    assert moved(before, after) == {"logit"}
    of_file = {one.tobytes() for one in values_of(body.variables)}
    assert of_file <= {one.tobytes() for one in after.values()}


def test_the_mean_of_the_last_epochs_is_kept_with_statistics_of_its_own(images: str, tmp_path: Path):
    chosen = experiment(training={"average_last": 0.5, "mixup": 0.3})
    found = states(images, tmp_path, chosen)
    one = job(images, tmp_path, chosen)
    _, kept = named(chosen, values_of(fit(one)[0].variables))  # its state says that it has ended
    model = build_model(chosen, "float32", chosen.problem(24, 2))
    weights = [v.path for v in model.trainable_variables]
    for path in weights:
        np.testing.assert_allclose(
            kept[path], np.mean([state[path] for state in found[3:]], axis=0), atol=1e-6
        )
        assert not np.array_equal(kept[path], found[-1][path])
    assign_values(model.variables, [found[-1][v.path] for v in model.variables])
    assign_values(model.trainable_variables, [kept[path] for path in weights])
    recompute_statistics(model, statistics_batches(one.feed, one.total_steps)())
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for value in layer.non_trainable_variables:
                np.testing.assert_array_equal(kept[value.path], np.asarray(value))
                assert not np.allclose(kept[value.path], found[-1][value.path], rtol=1e-3)


@pytest.mark.slow
def test_scoring_the_mean_on_an_inner_split_does_not_disturb_training(images: str, tmp_path: Path):
    training = {"average_last": 0.5, "mixup": 0.3, "stages": STAGES}
    watched = states(images, tmp_path / "watched", experiment(training=training | {"selection": "best"}))
    unwatched = states(images, tmp_path / "unwatched", experiment(training=training))
    for ours, theirs in zip(watched, unwatched, strict=True):
        assert moved(ours, theirs) == set()


def test_statistics_are_taken_on_patches_that_are_not_blended(images: str, tmp_path: Path):
    plain = job(images, tmp_path, experiment()).feed
    blended = job(images, tmp_path, experiment(training={"mixup": 0.4})).feed
    assert not np.array_equal(plain.batch(40)[0], blended.batch(40)[0])
    for ours, theirs in zip(statistics_batches(plain, 40)(), statistics_batches(blended, 40)(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_blended_patches_are_learned_and_their_accuracy_is_told(images: str, tmp_path: Path):
    """Most probable class against most probable class: Keras's own accuracy of soft targets is zero."""
    chosen = experiment({"dropout": 0.0}, training={"epochs": 12, "batch_size": 8, "mixup": 0.2})
    _, history = fit(job(images, tmp_path, chosen))
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert history[-1]["accuracy"] > 0.75
