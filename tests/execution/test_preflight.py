"""What a run looks at before its first task, on machines that are too small in one way each."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from histoblend.config_experiment import Experiment
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.execution import preflight
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.device import Device
from histoblend.execution.preflight import (
    PlannedExperiment,
    check_machine,
    memory_needed,
    plan_work,
    starting_weights,
)
from histoblend.models.problem import Problem

GIB = 2**30
DEVICE = Device("cpu", "fake CPU", 0, "float32", 2, True, 0)
CARD = dataclasses.replace(DEVICE, kind="gpu", name="Tesla T4", count=1, precision="mixed_float16")
PATCHES = (2000, 1000)


def experiment(name: str = "one", **changes: Any) -> Experiment:
    content = {"name": name, "network": "small_vgg", "augmentation": "none"}
    return Experiment.model_validate(content | changes)


def planned(parameters: int = 1_000_000, activations: int = 2_000_000, **changes: Any) -> PlannedExperiment:
    cost = NetworkCost(macs=10**8, parameters=parameters, activations=activations)
    return PlannedExperiment(experiment(**changes), 4, Work(cost, 64, 20_000, 4_000), "random", 96)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine whose free disk and memory (GiB) the test sets."""
    found = SimpleNamespace(disk=500.0, memory=16.0, card=None)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage._replace(free=int(found.disk * GIB)), raising=True
    )
    monkeypatch.setattr(
        preflight, "available_memory", lambda: None if found.memory is None else found.memory * GIB
    )
    monkeypatch.setattr(preflight, "card_memory", lambda: found.card and found.card * GIB)
    return found


def test_enough_of_everything_is_said_in_figures(machine: SimpleNamespace, tmp_path: Path) -> None:
    said = "; ".join(check_machine([planned()], 5, PATCHES, tmp_path / "not/yet", DEVICE))
    assert "500.0 GiB free" in said and "16.0 GiB free" in said
    assert "pretrained" not in said and "card" not in said


def test_a_small_disk_is_refused_with_what_to_do(machine: SimpleNamespace, tmp_path: Path) -> None:
    machine.disk = 0.01
    with pytest.raises(MachineRefusal, match=r"10 MiB are free for .*output(.|\n)*another --output"):
        check_machine([planned(25_000_000)], 5, PATCHES, tmp_path / "output", DEVICE)


def test_the_disk_has_to_hold_the_weights_of_every_fold_of_every_experiment(
    machine: SimpleNamespace, tmp_path: Path
) -> None:
    weights = 25_000_000 * 4 * 5 / GIB  # one experiment's, .47 GiB; its state is as large again
    machine.disk = 2.5 * weights
    check_machine([planned(25_000_000)], 5, PATCHES, tmp_path, DEVICE)
    with pytest.raises(MachineRefusal, match="artifacts of this plan take"):
        check_machine([planned(25_000_000)] * 3, 5, PATCHES, tmp_path, DEVICE)
    with pytest.raises(MachineRefusal, match="artifacts of this plan take"):
        check_machine([planned(25_000_000)], 10, PATCHES, tmp_path, DEVICE)


def test_a_pixel_cache_on_the_same_disk_counts(machine: SimpleNamespace, tmp_path: Path) -> None:
    machine.disk = 7.0
    check_machine([planned()], 5, PATCHES, tmp_path, DEVICE, cache_bytes=6 * GIB)
    with pytest.raises(MachineRefusal, match="artifacts of this plan take"):
        check_machine([planned()], 5, PATCHES, tmp_path, DEVICE, cache_bytes=7 * GIB)


def test_little_memory_is_refused_with_what_to_do(machine: SimpleNamespace, tmp_path: Path) -> None:
    machine.memory = 1.5
    with pytest.raises(MachineRefusal, match=r"1\.5 GiB of memory are free(.|\n)*batch_size(.|\n)*workers=0"):
        check_machine([planned()], 5, PATCHES, tmp_path, DEVICE)


def test_memory_that_nobody_knows_stops_nothing(machine: SimpleNamespace, tmp_path: Path) -> None:
    machine.memory = None
    assert "unknown free" in " ".join(check_machine([planned()], 5, PATCHES, tmp_path, DEVICE))


def test_the_largest_task_decides_and_each_worker_counts() -> None:
    small, large = planned(activations=10**6), planned(activations=10**7)
    alone = memory_needed([large], DEVICE)
    assert memory_needed([small, large], DEVICE) == alone > memory_needed([small], DEVICE)
    more = dataclasses.replace(DEVICE, workers=3)
    assert memory_needed([large], more) == pytest.approx(alone + 3 * preflight.WORKER_MEMORY)
    side_by_side = dataclasses.replace(DEVICE, processes=2)
    assert memory_needed([large], side_by_side) == pytest.approx(2 * alone + preflight.BASE_MEMORY)


def test_half_precision_takes_half_the_activations() -> None:
    rest = memory_needed([planned(activations=0)], DEVICE)
    full = memory_needed([planned()], DEVICE) - rest
    half = dataclasses.replace(DEVICE, precision="mixed_bfloat16")
    assert memory_needed([planned()], half) - rest == pytest.approx(full / 2)
    named = planned(precision="float32")  # what the experiment names counts
    assert memory_needed([named], half) - rest == pytest.approx(full)


def test_on_a_card_the_activations_lie_on_the_card(machine: SimpleNamespace, tmp_path: Path) -> None:
    heavy = planned(activations=2 * 10**8)
    machine.memory = 4.0
    said = check_machine([heavy], 5, PATCHES, tmp_path, CARD)[-1]
    assert said == "on the card: about 28.6 GiB for the largest step"
    machine.card = 28.0
    with pytest.raises(
        MachineRefusal, match=r"about 28\.6 GiB, and the card has 28\.0 GiB: one(.|\n)*batch_size"
    ):
        check_machine([planned(name="small"), heavy], 5, PATCHES, tmp_path, CARD)
    check_machine([planned(name="small")], 5, PATCHES, tmp_path, CARD)
    with pytest.raises(MachineRefusal, match="of memory are free"):
        check_machine([heavy], 5, PATCHES, tmp_path, DEVICE)


def test_where_pretrained_weights_come_from_is_said(machine: SimpleNamespace, tmp_path: Path) -> None:
    sources = ["random", "/kaggle/input/a/x.h5", "/kaggle/input/a/y.h5", "download"]
    tasks = [dataclasses.replace(planned(), weights=source) for source in sources]
    first = check_machine(tasks, 5, PATCHES, tmp_path, CARD)[0]
    assert first == "pretrained weights: from /kaggle/input/a and a download"


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "has_internet", lambda: False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("HISTOBLEND_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_file_that_two_experiments_want_is_named_once(offline: None) -> None:
    backbone = {"name": "densenet121"}
    wanted = [experiment(name, network=backbone) for name in ("a", "b")]
    wanted += [experiment("c", network={"name": "mobilenet_v2"}, input_size=128), experiment("d")]
    with pytest.raises(MachineRefusal) as refused:
        starting_weights(wanted, 96)
    assert refused.value.found.startswith("2 files of pretrained weights are nowhere")
    assert "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5  (a, b)" in refused.value.found
    assert "_1.0_128_no_top.h5  (c)" in refused.value.found
    assert "HISTOBLEND_WEIGHTS" in refused.value.remedy and "--experiments" in refused.value.remedy


def test_weights_are_looked_for_before_any_network_is_built(
    offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr(preflight, "network_cost", lambda one, problem: built.append(one.name))
    with pytest.raises(MachineRefusal, match="1 file of pretrained weights is nowhere"):
        plan_work([experiment(), experiment("pretrained", network="resnet50")], 4, PATCHES, 5, (96, 2))
    assert built == []


def test_random_weights_are_asked_of_nobody(offline: None) -> None:
    bare = experiment(network={"name": "densenet121", "weights": "none"})
    assert starting_weights([bare, experiment("two")], 96) == {"one": "random", "two": "random"}


def test_each_experiment_is_costed_with_its_own_views_and_the_folds_shares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "network_cost", lambda one, problem: NetworkCost(macs=10**6))
    training = {"epochs": 3, "batch_size": 10}
    first, second = plan_work(
        [experiment(training=training), experiment("two", views=1, training=training)],
        4,
        (2003, 1000),
        5,
        (96, 2),
    )
    assert (first.views, second.views) == (4, 1)
    assert first.work.training_patches == 3 * 1610  # 1,603 of 2,003 in batches of ten, the last topped up
    assert first.work.predicted_patches == 4 * (400 + 1000) == 4 * second.work.predicted_patches


def test_a_network_is_counted_as_it_is_built() -> None:
    """A 3x3 convolution of four filters at 96 pixels, a head of eight numbers, one logit."""
    tiny = {"name": "small_vgg", "widths": [4], "depths": [1], "normalisation": "none", "head": "gap"}
    cost = preflight.network_cost(experiment(network=tiny), Problem())
    assert cost.macs == 96 * 96 * 4 * 27 + 4
    assert cost.parameters == 4 * 28 + 5
    assert cost.grouped_macs == 0 and cost.activations > 96 * 96 * 4
    assert preflight.network_cost(experiment(network="texture_hgb"), Problem()) == NetworkCost()


def test_depthwise_and_grouped_convolutions_are_counted_apart() -> None:
    import keras
    from keras import layers

    from histoblend.models.summary import count_grouped_macs

    inner = keras.Sequential([layers.Input((8, 8, 6)), layers.Conv2D(4, 3, padding="same", groups=2)])
    stack = [layers.Input((8, 8, 6)), layers.DepthwiseConv2D(3, padding="same"), inner, layers.Conv2D(2, 1)]
    assert count_grouped_macs(keras.Sequential(stack)) == 64 * 9 * 6 + 64 * 9 * 3 * 4


STAGED = {"stages": [{"until": 0.2, "body": 0.0}]}


@pytest.mark.parametrize("network", ["small_vgg", {"name": "densenet121", "weights": "none"}])
def test_random_weights_are_not_frozen(network: Any):
    with pytest.raises(ConfigRefusal, match=r"one: training\.stages freeze(.|\n)*imagenet"):
        starting_weights([experiment(network=network, training=STAGED)], 96)


def test_stages_with_weights_and_those_of_an_estimator_are_none_of_its_business(tmp_path: Path):
    file = tmp_path / "some.weights.h5"
    file.touch()
    pretrained = experiment("two", network={"name": "densenet121", "weights": str(file)}, training=STAGED)
    estimator = experiment("three", network="texture_hgb", training=STAGED)
    assert starting_weights([pretrained, estimator], 96)["two"] == str(file)
