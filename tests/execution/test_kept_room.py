"""A plan whose artifacts Kaggle would not keep is refused before it trains, with the setting to change."""

from __future__ import annotations

import h5py
import pytest

from histoblend.config_experiment import Experiment
from histoblend.config_files import load_plan, plan_experiments
from histoblend.errors import MachineRefusal
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.kept_room import check_kept_room, kept_bytes
from histoblend.execution.preflight import PlannedExperiment, network_cost
from histoblend.workspace import Workspace

PATCHES = (220_025, 57_458)


def planned(name: str, parameters: int, save_model: bool = False) -> PlannedExperiment:
    settings = {"network": {"name": "small_vgg"}, "training": {"save_model": save_model}}
    experiment = Experiment.model_validate({"name": name, **settings})
    work = Work(NetworkCost(macs=1, parameters=parameters), 64, 1000, 1000)
    return PlannedExperiment(experiment, 4, work, "random", 96)


@pytest.fixture
def kaggle(tmp_path):
    (tmp_path / "working").mkdir()
    environment = {"HISTOBLEND_KAGGLE_ROOT": str(tmp_path), "KAGGLE_KERNEL_RUN_TYPE": "Batch"}
    return Workspace(tmp_path / "working" / "histoblend-output"), environment


def test_what_fits_is_said_and_elsewhere_nothing_is_asked(kaggle, tmp_path):
    (said,) = check_kept_room([planned("small", 7_000_000)], 5, PATCHES, *kaggle)
    assert (
        said
        == f"kept by Kaggle: up to {kept_bytes([planned('small', 7_000_000)], 5, PATCHES) / 1e9:.1f} of 20 GB"
    )
    huge = [planned("huge", 2_000_000_000)]
    assert check_kept_room(huge, 5, PATCHES, Workspace(tmp_path / "output"), kaggle[1]) == ()
    assert check_kept_room(huge, 5, PATCHES, kaggle[0], {}) == ()


def test_too_much_is_refused_with_the_setting_that_helps(kaggle):
    fits = [planned(f"net{number}", 30_000_000) for number in range(3)]
    check_kept_room(fits, 5, PATCHES, *kaggle)
    saved = [*fits, planned("twice", 300_000_000, save_model=True)]
    with pytest.raises(MachineRefusal, match="take up to") as refusal:
        check_kept_room(saved, 5, PATCHES, *kaggle)
    assert refusal.value.remedy == "set training.save_model=false (twice)."
    with pytest.raises(MachineRefusal) as refusal:
        check_kept_room([*fits, planned("large", 600_000_000)], 5, PATCHES, *kaggle)
    assert "The largest by their weights: large 12.0 GB, net0 0.6 GB" in refusal.value.remedy


def test_a_weights_file_holds_what_is_counted_and_no_optimizer(finished, toy_configs):
    """As a run writes it: with the optimizer beside the weights, it was once four times as large."""
    (first, _) = plan_experiments(load_plan("toy", toy_configs, ()), toy_configs)
    stored = []
    with h5py.File(finished / "experiments" / "first" / "fold_0" / "model.weights.h5") as file:
        file.visititems(lambda name, item: stored.append(item) if isinstance(item, h5py.Dataset) else None)
        values = sum(item.size for item in stored)
    assert values == network_cost(first, first.problem(96, 2)).parameters > 0


def test_what_lies_there_of_other_plans_counts(kaggle):
    workspace, _ = kaggle
    nearly = [planned("nearly", 200_000_000)]
    check_kept_room(nearly, 5, PATCHES, *kaggle)
    for folder, refused in (("nearly", False), ("other", True)):
        path = workspace.experiment(folder).folder / "fold_0" / "model.weights.h5"
        path.parent.mkdir(parents=True)
        with path.open("wb") as stream:
            stream.truncate(8_000_000_000)  # a hole: it takes no room on this disk
        if refused:
            with pytest.raises(MachineRefusal):
                check_kept_room(nearly, 5, PATCHES, *kaggle)
        else:
            check_kept_room(nearly, 5, PATCHES, *kaggle)
