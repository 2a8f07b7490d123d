"""The kaggle plan: what it promises, what its header computes, and that each of its networks takes a step."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from rich.console import Console

from histoblend.competition.layouts import read_competition
from histoblend.config_experiment import Experiment
from histoblend.config_files import load_plan, plan_experiments
from histoblend.data.views import chosen_views
from histoblend.errors import DataRefusal, MachineRefusal
from histoblend.execution import preflight
from histoblend.execution.costs import NetworkCost, Work, task_work
from histoblend.models.problem import Problem
from histoblend.models.registry import find_network
from histoblend.models.weights import weights_file_name
from histoblend.reporting.task_table import printed_tasks
from histoblend.workspace import Workspace

CONFIGS = Path(__file__).parents[1] / "configs"
TRAIN, TEST, FOLDS = 220_025, 57_458, 5
SIZES = (TRAIN - TRAIN // FOLDS, TRAIN // FOLDS, TEST)
PLAN = load_plan("kaggle", CONFIGS)
EXPERIMENTS = plan_experiments(PLAN, CONFIGS)
NETWORKS = [one for one in EXPERIMENTS if one.role == "member"]
STEPS_OF_LOSS_SCALING = 6  # a step whose float16 gradients overflow is left out and the scale halved
HEADER = (CONFIGS / "plans" / "kaggle.yaml").read_text().split("\nexperiments:")[0]


class Row(NamedTuple):
    """One line of the header's table."""

    mmacs: float
    grouped: float
    mvalues: float
    mparameters: float
    milliseconds: float
    rate: float
    hours: float
    hours_of_five: float


def header_rows() -> dict[str, Row]:
    lines = re.findall(r"^#   (\w+) +([\d,.]+.*)$", HEADER, re.MULTILINE)
    return {
        name: Row(*(float(cell) for cell in re.findall(r"[\d.]+", rest.replace(",", ""))))
        for name, rest in lines
    }


def header_work(experiment: Experiment) -> Work:
    row = header_rows()[experiment.name]
    millions = (row.mmacs, row.grouped, row.mparameters, row.mvalues)
    return task_work(experiment, NetworkCost(*(round(value * 1e6) for value in millions)), SIZES, PLAN.tta)


def named(name: str) -> Experiment:
    return next(one for one in NETWORKS if one.name == name)


def test_what_the_plan_promises():
    assert PLAN.folds.count == FOLDS and PLAN.folds.slides in ("auto", "map") and PLAN.tta == 4
    assert len({find_network(one.network.name).family for one in NETWORKS}) == len(NETWORKS) >= 4
    assert [one.name for one in EXPERIMENTS if one.role == "yardstick"] == ["texture_hgb"]
    assert PLAN.budget_seconds == 11 * 3600


@pytest.mark.parametrize("experiment", NETWORKS, ids=lambda one: one.name)
def test_each_recipe(experiment):
    training = experiment.training
    assert 160 <= experiment.input_size <= 224 and experiment.augmentation == "heavy"
    assert (
        experiment.precision == "auto"
        and experiment.network.parameters.get("weights", "imagenet") == "imagenet"
    )
    assert training.balanced and 5_000 <= training.samples_per_epoch <= 20_000
    assert training.samples_per_epoch % training.batch_size == 0
    assert training.selection == "last" and not experiment.needs_inner_split
    memory = 1 / (1 - training.ema)
    assert 2 * memory < training.epochs * training.samples_per_epoch / training.batch_size < 20 * memory
    assert experiment.optimizer.name == "adamw" and experiment.optimizer.learning_rate <= 5e-4


def test_the_header_says_what_the_dry_run_will_on_a_card():
    rows, total = header_rows(), 0.0
    assert list(rows) == [one.name for one in NETWORKS]
    for experiment in NETWORKS:
        row, work = rows[experiment.name], header_work(experiment)
        hours = work.seconds("gpu", 4) / 3600
        milliseconds = 1e3 * work.network.seconds("gpu", 4)
        assert milliseconds == pytest.approx(row.milliseconds, rel=3e-3)  # the header's figures are rounded
        assert 1e3 / (3 * milliseconds) == pytest.approx(row.rate, rel=5e-3)
        assert hours == pytest.approx(row.hours, abs=0.006)
        assert FOLDS * hours == pytest.approx(row.hours_of_five, abs=0.06)
        passes = 3 * work.training_patches + work.predicted_patches
        assert (f"{work.training_patches:,}" in HEADER) and (f"{work.predicted_patches:,}" in HEADER)
        assert f"{passes:,} passes" in HEADER
        total += FOLDS * hours
    said = re.search(r"Total\.\s+([\d.]+) h", HEADER)
    assert said and float(said[1]) == pytest.approx(total, abs=0.06)
    assert total < 30 / 2  # the estimate may be wrong by a factor of two
    assert "NOT RUN YET" in HEADER


def test_the_header_adds_up_the_operations():
    each = [
        2 * 3 * row.mmacs * 1e6 * header_work(named(name)).training_patches / 1e15
        for name, row in header_rows().items()
    ]
    *first, last = (f"{value:.1f}" for value in each)
    assert f"{', '.join(first)} and {last} PFLOP" in HEADER
    assert f"{FOLDS * sum(each):.0f} PFLOP" in HEADER


def test_the_rates_are_four_tenths_of_the_published():
    resnet50 = NetworkCost(3_855_929_344, 0, 23_591_809, 37_476_589)  # at 224 pixels
    assert 1 / (3 * resnet50.seconds("gpu", 1)) == pytest.approx(0.4 * 1190 * 1200 / 3249, rel=0.01)
    assert "176 images/s" in HEADER


def test_a_step_fits_the_card():
    largest = max(header_work(one).activation_bytes("mixed_float16") for one in NETWORKS)
    assert f"{largest / 2**30:.1f} GiB" in HEADER
    assert largest < 15 * 2**30 / 2


def test_texture_statistics_are_counted_once_over_all_folds():
    yardstick = next(one for one in EXPERIMENTS if one.role == "yardstick")
    work = task_work(yardstick, NetworkCost(), SIZES, 1)
    assert FOLDS * work.predicted_patches == pytest.approx(TRAIN + TEST, rel=1e-3)
    assert f"{FOLDS * work.seconds('gpu', 4) / 3600:.1f} h for texture_hgb" in HEADER


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No internet, an empty Keras cache, nothing attached; how often the internet was tried."""
    tried = []
    monkeypatch.setattr(preflight, "has_internet", lambda: bool(tried.append(1)))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("HISTOBLEND_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tried


def file_of(experiment: Experiment) -> str:
    return weights_file_name(find_network(experiment.network.name).fixed["backbone"], experiment.input_size)


def test_all_missing_weights_are_named_at_once(offline):
    with pytest.raises(MachineRefusal) as refused:
        preflight.starting_weights(EXPERIMENTS, 96)
    for experiment in NETWORKS:
        assert f"{file_of(experiment)}  ({experiment.name})" in str(refused.value)
    assert refused.value.found.startswith(f"{len(NETWORKS)} files") and len(offline) == 1


def test_weights_that_lie_there_are_not_named(offline, tmp_path, monkeypatch):
    cached, *others = NETWORKS
    (tmp_path / "keras" / "models").mkdir(parents=True)
    (tmp_path / "keras" / "models" / file_of(cached)).touch()
    with pytest.raises(MachineRefusal) as refused:
        preflight.starting_weights(EXPERIMENTS, 96)
    assert file_of(cached) not in str(refused.value) and file_of(others[0]) in str(refused.value)
    (tmp_path / "attached" / "deep").mkdir(parents=True)
    for experiment in others:
        (tmp_path / "attached" / "deep" / file_of(experiment)).touch()
    monkeypatch.setenv("HISTOBLEND_WEIGHTS", str(tmp_path / "attached"))
    found = preflight.starting_weights(EXPERIMENTS, 96)
    assert found["texture_hgb"] == "random" and found[cached.name].endswith(f"keras/models/{file_of(cached)}")
    assert all("attached/deep" in found[experiment.name] for experiment in others)


def test_with_internet_the_missing_are_downloaded(offline, monkeypatch):
    monkeypatch.setattr(preflight, "has_internet", lambda: True)
    found = preflight.starting_weights(EXPERIMENTS, 96)
    assert all(found[experiment.name] == "download" for experiment in NETWORKS)


def test_the_slide_map_is_read_before_anything_starts(toy, tmp_path):
    competition = read_competition(toy)
    assert "6 slides from the map" in preflight.resolve_slides(competition, PLAN.folds)
    part = tmp_path / "part.csv"
    part.write_text("".join((toy / "patch_id_wsi_full.csv").read_text().splitlines(keepends=True)[:10]))
    with pytest.raises(DataRefusal, match=r"covers 15\.0% of the 60"):
        preflight.resolve_slides(competition, PLAN.folds.model_copy(update={"slide_map": part}))
    alone = dataclasses.replace(competition, slide_map=None)
    assert "pseudo-slides" in preflight.resolve_slides(alone, PLAN.folds)
    with pytest.raises(DataRefusal, match="no slide map was found"):
        preflight.resolve_slides(alone, PLAN.folds.model_copy(update={"slides": "map"}))


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_the_terminal(tmp_path, columns):
    planned = [
        preflight.PlannedExperiment(one, PLAN.tta, header_work(one), "/a/path.h5", one.input_size)
        for one in NETWORKS
    ]
    device = SimpleNamespace(name="Tesla T4", label="Tesla T4", kind="gpu", threads=2, processes=2)
    stream = io.StringIO()
    table = printed_tasks(planned, range(FOLDS), device, Workspace(tmp_path))
    Console(file=stream, width=columns).print(table)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= columns and len(lines) < 20  # no cell is broken over further lines
    for experiment in NETWORKS:
        assert f"{experiment.network.name}@{experiment.input_size}, heavy" in stream.getvalue()
    assert re.search(r"20 tasks to do, 2 at a\n? *time +6h0\dm", stream.getvalue())


def test_the_resize_compiles_with_xla():
    """On a GPU `fit` compiles with XLA, which has no kernel for antialiased resizing."""
    import tensorflow as tf

    from histoblend.models import layers

    for experiment in NETWORKS:
        stack = layers.entrance(Problem(input_size=experiment.input_size), None)
        resized = tf.function(lambda patches, stack=stack: layers.chained(patches, stack), jit_compile=True)
        side = experiment.input_size
        assert resized(np.zeros((1, 96, 96, 3), np.uint8)).shape == (1, side, side, 3)


def publish(model, path: Path) -> None:
    """Write weights as keras.applications publishes them: HDF5 groups by layer, in order."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [
                f"weight_{number}".encode() for number in range(len(layer.weights))
            ]
            for number, weight in enumerate(layer.weights):
                group.create_dataset(f"weight_{number}", data=weight.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in NETWORKS])
def test_the_header_counts_what_the_network_does(name):
    cost, row = preflight.network_cost(named(name), named(name).problem(96, 2)), header_rows()[name]
    assert round(cost.macs / 1e6) == row.mmacs
    assert f"{cost.grouped_macs / 1e6:.1f}" == f"{row.grouped:.1f}"
    assert f"{cost.activations / 1e6:.1f}" == f"{row.mvalues:.1f}"
    assert f"{cost.parameters / 1e6:.1f}" == f"{row.mparameters:.1f}"


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in NETWORKS])
def test_published_weights_are_found_and_loaded(name, offline, tmp_path):
    import keras

    from histoblend.models.backbones import APPLICATIONS
    from histoblend.models.registry import build_network

    experiment = named(name)
    keras.utils.set_random_seed(7)
    shape = (experiment.input_size, experiment.input_size, 3)
    source = APPLICATIONS[experiment.network.name](include_top=False, weights=None, input_shape=shape)
    (tmp_path / "keras" / "models").mkdir(parents=True)
    publish(source, tmp_path / "keras" / "models" / file_of(experiment))
    built = build_network(
        experiment.network.name, experiment.network.parameters, Problem(input_size=experiment.input_size)
    )
    body = next(layer for layer in built.layers if isinstance(layer, keras.Model))
    for one, other in zip(body.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in NETWORKS])
def test_each_network_takes_a_step_in_half_precision_and_predicts(name, tmp_path):
    import keras

    from histoblend.data.augmentations import resolve_augmentation
    from histoblend.data.batches import Sampling, TrainingFeed
    from histoblend.data.feed_workers import FeedWorkers
    from histoblend.data.training_rows import TrainingRows
    from histoblend.inference.predict import network_logits, view_logits
    from histoblend.training.fit import FitJob, build_model, compile_model
    from histoblend.training.normalisation import recompute_statistics

    random = {"name": named(name).network.name, "weights": "none"}
    experiment = named(name).model_copy(update={"network": type(named(name).network)(**random)})
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    rows = TrainingRows(str(tmp_path / "images.npy"), np.arange(2), np.array([0, 1], np.int8))
    sampling = Sampling(0, 2, experiment.training.samples_per_epoch, balanced=True)
    feed = TrainingFeed(rows, sampling, resolve_augmentation(experiment.augmentation), FeedWorkers(0))
    try:
        model = build_model(experiment, "mixed_float16", experiment.problem(96, 2))
        compile_model(model, FitJob(experiment, feed, "", "mixed_float16", tmp_path / "state"))
        before = model.trainable_variables[0].numpy()
        for step in range(STEPS_OF_LOSS_SCALING):
            assert np.isfinite(float(model.train_on_batch(*feed.batch(step))[0]))
            if moved := bool((model.trainable_variables[0].numpy() != before).any()):
                break
        assert moved
        model.optimizer.finalize_variable_values(model.trainable_variables)
        recompute_statistics(model, [feed.batch(99)[0]])
        logits = view_logits(network_logits(model), images, np.arange(2), chosen_views(PLAN.tta), 2)
        assert logits.shape == (2, 4, 1) and np.isfinite(logits).all()
    finally:
        keras.config.set_dtype_policy("float32")
