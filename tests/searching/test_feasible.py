"""What stands in the way of a trial is told by its record; everything else stops the sweep."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from histoblend.config_experiment import Experiment
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.device import Device
from histoblend.execution.preflight import PlannedExperiment
from histoblend.searching import feasible, trials
from histoblend.searching.feasible import fault_of_values, obstacle
from histoblend.searching.trials import run_trial
from histoblend.training.observer import Observer

GIB = 2**30
PREPARED: Any = SimpleNamespace(
    device=Device("cpu", "fake CPU", 0, "float32", 2, True, 0),
    plan=SimpleNamespace(data=SimpleNamespace(side=96), tta=1, folds=SimpleNamespace(count=5)),
    competition=SimpleNamespace(train=range(100), test=range(50), classes=("no", "yes")),
)


def experiment(batch_size: int = 64, network: Any = "small_vgg") -> Experiment:
    training = {"batch_size": batch_size}
    return Experiment.model_validate({"name": "base", "network": network, "training": training})


BASE = PlannedExperiment(
    experiment(),
    1,
    Work(NetworkCost(macs=10**8, parameters=10**6, activations=2_000_000), 64, 20_000, 4_000),
    "random",
    96,
)


def test_a_batch_too_large_for_memory_is_an_obstacle_and_no_refusal():
    assert obstacle(experiment(), BASE, PREPARED, 8 * GIB) is None
    found = obstacle(experiment(2048), BASE, PREPARED, 8 * GIB)
    assert found is not None and found.startswith("8.0 GiB of memory are free, the largest task takes about ")
    assert obstacle(experiment(2048), BASE, PREPARED, None) is None  # where the system does not tell


def test_another_network_is_measured_and_one_that_cannot_be_built_is_an_obstacle(
    monkeypatch: pytest.MonkeyPatch,
):
    found = obstacle(
        experiment(4096, {"name": "small_vgg", "widths": [64, 64], "depths": [1, 1]}), BASE, PREPARED, 4 * GIB
    )
    assert found is not None and "of memory are free" in found

    def unbuilt(*_: Any) -> None:
        raise ValueError("The layer has no pixel left\nmore")

    monkeypatch.setattr(feasible, "plan_work", unbuilt)
    found = obstacle(experiment(64, "course_cnn"), BASE, PREPARED, 8 * GIB)
    assert found == "the network cannot be built: ValueError: The layer has no pixel left"


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


def trial_that(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(trials, "_fit", failing)
    proposal: Any = SimpleNamespace(values={"training.batch_size": 4096}, hopeless=lambda epoch, auc: False)
    ready: Any = None
    return run_trial(3, proposal, experiment(), ready, folder, Observer())


def test_what_the_backend_cannot_hold_is_a_failed_trial_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trial = trial_that(ResourceExhaustedError("OOM when allocating\nmore"), tmp_path, monkeypatch)
    assert (trial.number, trial.state, trial.values) == (3, "failed", {"training.batch_size": 4096})
    assert trial.note == "ResourceExhaustedError: OOM when allocating"
    assert trial_that(MemoryError(), tmp_path, monkeypatch).state == "failed"


def test_a_fault_of_another_kind_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(KeyError, match="typo"):
        trial_that(KeyError("typo"), tmp_path, monkeypatch)


def test_tensorflow_s_and_jax_s_errors_are_known():
    errors = pytest.importorskip("tensorflow").errors
    assert "no room" in str(fault_of_values(errors.ResourceExhaustedError(None, None, "no room")))
    assert "no fit" in str(fault_of_values(errors.InvalidArgumentError(None, None, "no fit")))
    assert fault_of_values(errors.InternalError(None, None, "broken card")) is None
    assert fault_of_values(RuntimeError("RESOURCE_EXHAUSTED: Out of memory")) is not None
