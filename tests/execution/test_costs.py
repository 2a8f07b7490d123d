"""What a task costs, by arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from histoblend.config_experiment import Experiment
from histoblend.execution.costs import RATES, NetworkCost, task_work
from histoblend.execution.device import Device
from histoblend.execution.jobs import task_estimates
from histoblend.execution.preflight import PlannedExperiment
from histoblend.workspace import ExperimentFolder

NET = NetworkCost(macs=10**8, grouped_macs=10**7, parameters=250_000, activations=10**6)
SIZES = (1600, 400, 1000)
CPU = Device("cpu", "fake CPU", 0, "float32", 2, True, 0)


def experiment(network: str = "small_vgg", **training: Any) -> Experiment:
    content = {"name": "one", "network": network, "augmentation": "none", "training": training}
    return Experiment.model_validate(content)


def seconds(chosen: Experiment, cost: NetworkCost = NET, views: int = 4, kind: str = "cpu") -> float:
    return task_work(chosen, cost, SIZES, views).seconds(kind, 2)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_costs_are_there_and_grow_with_epochs_views_and_network(kind: str):
    start = RATES[kind].start_seconds
    base = seconds(experiment(epochs=10), kind=kind)
    assert base > start > 0
    prediction = seconds(experiment(epochs=10), views=4, kind=kind) - seconds(
        experiment(epochs=10), views=0, kind=kind
    )
    training = base - prediction - start
    assert training > 0 and prediction > 0
    assert seconds(experiment(epochs=20), kind=kind) - base == pytest.approx(training)
    assert seconds(experiment(epochs=10), views=8, kind=kind) - base == pytest.approx(prediction)
    double = NetworkCost(2 * NET.macs, 2 * NET.grouped_macs, NET.parameters, 2 * NET.activations)
    assert seconds(experiment(epochs=10), double, kind=kind) - base == pytest.approx(training + prediction)


def test_a_step_costs_three_passes_and_a_view_one():
    """By hand: 10 epochs of 25 steps of 64 patches, four views of 1,400 patches, on two threads."""
    passes = 3 * 10 * 25 * 64 + 4 * 1400
    assert seconds(experiment(epochs=10)) == pytest.approx(8 + passes * 10**8 / 60e9 / 2)


def test_threads_share_a_processors_work_and_not_a_cards():
    work = task_work(experiment(epochs=10), NET, SIZES, 4)
    start = RATES["cpu"].start_seconds
    assert work.seconds("cpu", 1) - start == pytest.approx(4 * (work.seconds("cpu", 4) - start))
    assert work.seconds("gpu", 1) == work.seconds("gpu", 4)


def test_an_epoch_of_samples_counts_its_samples():
    drawn = task_work(experiment(epochs=3, samples_per_epoch=130, batch_size=64), NET, SIZES, 4)
    assert drawn.training_patches == 3 * 3 * 64  # the third batch is topped up
    assert task_work(experiment(epochs=3, batch_size=64), NET, SIZES, 4).training_patches == 3 * 1600


def test_pseudo_labelled_patches_count_in_an_epoch():
    student = {"pseudo_labels": {"teachers": ["other"]}}
    test = SIZES[2]
    work = task_work(experiment(epochs=3, batch_size=64, **student), NET, SIZES, 4)
    assert work.training_patches == 3 * 64 * -(-(SIZES[0] + test) // 64)
    drawn = task_work(experiment(epochs=3, samples_per_epoch=130, batch_size=64, **student), NET, SIZES, 4)
    assert drawn.training_patches == 3 * 3 * 64


def test_an_estimator_has_no_epochs_and_no_views():
    trees = [seconds(experiment("texture_hgb", epochs=epochs), NetworkCost()) for epochs in (1, 50)]
    views = [seconds(experiment("texture_hgb"), NetworkCost(), views) for views in (1, 8)]
    assert trees[0] == trees[1] == views[0] == views[1] > 0


def test_memory_grows_with_the_batch_and_halves_with_the_precision():
    work = task_work(experiment(batch_size=64), NET, SIZES, 4)
    double = task_work(experiment(batch_size=128), NET, SIZES, 4)
    full = work.activation_bytes("float32")
    assert full >= 64 * 10**6 * 4
    assert double.activation_bytes("float32") == 2 * full
    assert work.activation_bytes("mixed_float16") == work.activation_bytes("mixed_bfloat16") == full / 2


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_training_prediction_and_start_are_told_apart(kind: str):
    """By hand as above: 10 epochs of 25 steps of 64 patches; four views of 1,400 patches."""
    work = task_work(experiment(epochs=10), NET, SIZES, 4)
    start, one = work.start_seconds(kind), NET.seconds(kind, 2)
    assert start == RATES[kind].start_seconds
    assert work.training_seconds(kind, 2) == pytest.approx(start + 3 * 10 * 25 * 64 * one)
    assert work.prediction_seconds(kind, 2) == pytest.approx(4 * 1400 * one)
    trees = task_work(experiment("texture_hgb"), NetworkCost(), SIZES, 1)
    assert trees.start_seconds(kind) == trees.prediction_seconds(kind, 2) == 0
    assert trees.training_seconds(kind, 2) == trees.seconds(kind, 2) > 0


def test_an_estimator_describes_all_patches_in_the_first_fold_of_a_session(tmp_path: Path):
    """Fold 0 is done: it bore the describing of its session, and fold 1 bears that of the next."""
    chosen = experiment("texture_hgb")
    planned = PlannedExperiment(chosen, 1, task_work(chosen, NetworkCost(), SIZES, 1), "none", 96)
    folder = ExperimentFolder(tmp_path)
    alone = planned.work.seconds("cpu", 2)
    fitting = 1600 / 4000 / 2
    fresh = [one.training for one in task_estimates(planned, range(5), CPU, folder)]
    assert fresh == pytest.approx([5 * alone - 4 * fitting, *[fitting] * 4])
    folder.task(0).folder.mkdir(parents=True)
    folder.task(0).done.write_text("{}")
    later = [one.training for one in task_estimates(planned, range(5), CPU, folder)]
    assert later == pytest.approx([fresh[0], fresh[0], *[fitting] * 3])
