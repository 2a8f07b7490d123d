"""Everything a run needs, looked at before its first task: cost, weights, disk, memory."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from histoblend.config import Experiment
from histoblend.errors import MachineRefusal
from histoblend.execution.costs import Work, task_work
from histoblend.execution.device import Device
from histoblend.models.parameters import Backbone
from histoblend.models.registry import check_network, find_network
from histoblend.models.weights import attached_folders, keras_home, resolve_weights
from histoblend.workspace import nearest_existing

BASE_MEMORY = 2.0 * 2**30  # interpreter, TensorFlow and its kernels
WORKER_MEMORY = 0.4 * 2**30
STATE_COPIES = 5  # weights, optimizer moments, moving average, best weights
OUTPUT_ROW_BYTES = 120


@dataclass(frozen=True)
class PlannedExperiment:
    """An experiment with the work of one of its tasks."""

    experiment: Experiment
    views: int
    work: Work
    weights: str
    """Where its starting weights come from, in words."""


def plan_work(
    experiments: list[Experiment], plan_views: int, patches: tuple[int, int], fold_count: int
) -> list[PlannedExperiment]:
    """Build each network once to count what its tasks will cost, and resolve its starting weights.

    Args:
        patches: training and test patches.

    Raises:
        MachineRefusal: pretrained weights are not to be had.
    """
    train, test = patches
    sizes = (train - train // fold_count, train // fold_count, test)
    planned = []
    for experiment in experiments:
        views = experiment.views or plan_views
        weights = starting_weights(experiment)
        work = task_work(experiment, network_cost(experiment), sizes, views)
        planned.append(PlannedExperiment(experiment, views, work, weights))
    return planned


def starting_weights(experiment: Experiment) -> str:
    """Where the experiment's starting weights come from.

    Raises:
        MachineRefusal: pretrained weights are not to be had.
    """
    settings = check_network(experiment.network.name, experiment.network.parameters)
    if not isinstance(settings, Backbone):
        return "random"
    backbone = find_network(experiment.network.name).fixed["backbone"]
    found = resolve_weights(
        backbone, settings.weights, attached_folders(), keras_home(), input_size=experiment.input_size
    )
    return "random" if found is None else str(found)


def network_cost(experiment: Experiment) -> tuple[int, int, int]:
    """Multiply-accumulates, parameters and activation values of one patch; zeros for no network."""
    if find_network(experiment.network.name).kind != "keras":
        return 0, 0, 0
    import keras

    from histoblend.models.registry import build_network
    from histoblend.models.summary import count_activations, count_macs, count_parameters

    keras.utils.clear_session()
    name, parameters = experiment.network.name, experiment.network.parameters
    model = build_network(name, parameters, experiment.input_size, pretrained=False)
    return count_macs(model), count_parameters(model), count_activations(model)


def check_machine(
    planned: list[PlannedExperiment], fold_count: int, patches: tuple[int, int], output: Path, device: Device
) -> tuple[str, str]:
    """Compare disk and memory with what the run will need; two sentences for the user.

    Raises:
        MachineRefusal: either is too small.
    """
    disk_needed = _disk_needed(planned, fold_count, patches)
    disk_free = shutil.disk_usage(nearest_existing(output)).free
    if disk_needed > disk_free:
        raise MachineRefusal(
            f"{_gib(disk_free)} are free for {output}, the artifacts of this plan take {_gib(disk_needed)}.",
            "room for weights, states and predictions",
            "free some space or choose another --output.",
        )
    needed, free = memory_needed(planned, device), available_memory()
    if free is not None and needed > free:
        raise MachineRefusal(
            f"{_gib(free)} of memory are free, the largest task takes about {_gib(needed)}.",
            "memory for the network's activations and the feed",
            "lower training.batch_size or input_size, or use fewer workers (--set execution.workers=0).",
        )
    memory = f"memory: about {_gib(needed)} needed, {'unknown' if free is None else _gib(free)} free"
    return f"disk: about {_gib(disk_needed)} of artifacts, {_gib(disk_free)} free", memory


def _disk_needed(planned: list[PlannedExperiment], fold_count: int, patches: tuple[int, int]) -> int:
    rows = (patches[0] + patches[1] * (fold_count + 1)) * OUTPUT_ROW_BYTES
    weights = sum(one.work.parameters * 4 * fold_count for one in planned)
    state = max((one.work.parameters * 4 * STATE_COPIES for one in planned), default=0)
    return weights + state + rows * (len(planned) + 2)


def memory_needed(planned: list[PlannedExperiment], device: Device) -> float:
    """Bytes of main memory the largest task takes; on a GPU the activations lie on the card."""
    activations = (
        max((one.work.activation_bytes for one in planned), default=0) if device.kind == "cpu" else 0
    )
    return BASE_MEMORY + device.workers * WORKER_MEMORY + activations


def available_memory() -> float | None:
    """Bytes of main memory free for this process, or None where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return None


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
