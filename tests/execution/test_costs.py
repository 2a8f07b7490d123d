"""What a task costs, by arithmetic; time left: estimates first, measurement afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from histoblend.config_experiment import Experiment
from histoblend.execution.costs import RATES, Clock, Estimate, NetworkCost, task_work


def test_time_left_goes_from_estimates_to_measurement():
    clock = Clock([Estimate("a", "keras", 10.0), Estimate("a", "keras", 10.0), Estimate("b", "keras", 100.0)])
    assert clock.left() == 120.0
    assert clock.left(share_done=0.5) == 115.0
    clock.finish(30.0)  # three times the estimate: so are b's chances
    assert clock.next_task() == 30.0
    assert clock.left() == 30.0 + 300.0
    clock.finish(10.0)
    assert clock.next_task() == pytest.approx(100.0)
    clock.finish(1.0)
    assert clock.left() == clock.next_task() == 0.0


def test_an_estimator_tells_nothing_about_networks():
    clock = Clock([Estimate("trees", "features", 1.0), Estimate("net", "keras", 100.0)])
    clock.finish(50.0)
    assert clock.left() == 100.0


NET = NetworkCost(macs=10**8, grouped_macs=10**7, parameters=250_000, activations=10**6)
SIZES = (1600, 400, 1000)


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


def test_the_other_folds_of_an_experiment_are_better_witnesses_than_its_kind():
    clock = Clock([Estimate(name, "keras", 10.0) for name in ("a", "b", "a", "b")])
    clock.finish(20.0)
    clock.finish(60.0)
    assert clock.expected(Estimate("a", "keras", 10.0)) == 20.0
    assert clock.left() == 80.0
    assert clock.expected(Estimate("c", "keras", 10.0)) == 60.0  # as the last task of its kind went
