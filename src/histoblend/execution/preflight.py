"""Everything a run needs, looked at before its first task: cost, weights, disk, memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histoblend.competition.layouts import Competition
from histoblend.config import FoldSettings
from histoblend.config_experiment import Experiment
from histoblend.data.slides import assign_slides
from histoblend.data.split import resolve_slide_map
from histoblend.errors import ConfigRefusal, MachineRefusal, counted, some
from histoblend.execution.costs import NetworkCost, Work, task_work
from histoblend.execution.device import Device, card_memory
from histoblend.models.parameters import Backbone
from histoblend.models.problem import Problem
from histoblend.models.registry import check_network, find_network
from histoblend.models.weights import (
    DOWNLOAD,
    attached_folders,
    has_internet,
    keras_home,
    resolve_weights,
    weights_file_name,
)
from histoblend.workspace import nearest_existing

RANDOM = "random"
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
    input_size: int
    """Side in pixels at which its network sees a patch."""


def plan_work(
    experiments: list[Experiment],
    plan_views: int,
    patches: tuple[int, int],
    fold_count: int,
    frame: tuple[int, int],
) -> list[PlannedExperiment]:
    """Resolve all starting weights, then build each network once to count what its tasks will cost.

    Args:
        patches: training and test patches.
        frame: side of the packed patch in pixels, number of classes.

    Raises:
        MachineRefusal: pretrained weights are not to be had; names all that are missing.
    """
    train, test = patches
    sizes = (train - train // fold_count, train // fold_count, test)
    weights = starting_weights(experiments, frame[0])
    planned = []
    for experiment in experiments:
        views = experiment.views_shown(plan_views)
        problem = experiment.problem(*frame)
        work = task_work(experiment, network_cost(experiment, problem), sizes, views)
        planned.append(
            PlannedExperiment(experiment, views, work, weights[experiment.name], problem.input_size)
        )
    return planned


def starting_weights(experiments: Sequence[Experiment], side: int) -> dict[str, str]:
    """Where the starting weights of each experiment come from: ``random``, ``download`` or a file's path.

    Raises:
        ConfigRefusal: random weights would be frozen in a stage of the training.
        MachineRefusal: pretrained weights are not to be had; names all that are missing.
    """
    found, missing = {}, []
    for experiment in experiments:
        try:
            found[experiment.name] = _resolved(experiment, side)
        except MachineRefusal:
            missing.append(experiment)
    if missing and not has_internet():
        raise _weights_nowhere(missing, side)
    _check_frozen([experiment for experiment in experiments if found.get(experiment.name) == RANDOM])
    return found | {experiment.name: DOWNLOAD for experiment in missing}


def _check_frozen(random: Sequence[Experiment]) -> None:
    networks = [one for one in random if find_network(one.network.name).kind == "keras"]
    if staged := [one.name for one in networks if one.training.stages]:
        raise ConfigRefusal(
            f"{some(staged)}: training.stages freeze layers whose weights are random: a head would learn from noise.",
            "pretrained weights under what is frozen",
            "say network.weights: imagenet (of a network that has them), or training.stages: [].",
        )


def _resolved(experiment: Experiment, side: int) -> str:
    """Weights as they lie on this machine, the internet left aside."""
    settings = check_network(experiment.network.name, experiment.network.parameters)
    if not isinstance(settings, Backbone):
        return RANDOM
    found = resolve_weights(
        backbone_of(experiment),
        settings.weights,
        attached_folders(),
        keras_home(),
        input_size=experiment.input_size or side,
        online=False,
    )
    return RANDOM if found is None else str(found)


def weights_name(experiment: Experiment, side: int) -> str:
    """Name of the published file that an experiment on a backbone starts from."""
    return weights_file_name(backbone_of(experiment), experiment.input_size or side)


def _has_file(experiment: Experiment, side: int) -> bool:
    """Whether its starting weights lie on this machine."""
    try:
        return _resolved(experiment, side) != RANDOM
    except MachineRefusal:
        return False


def backbone_of(experiment: Experiment) -> str:
    """The row of keras.applications that an experiment's network is built on."""
    return find_network(experiment.network.name).fixed["backbone"]


def _weights_nowhere(missing: Sequence[Experiment], side: int) -> MachineRefusal:
    users: dict[str, list[str]] = {}
    for experiment in missing:
        users.setdefault(weights_name(experiment, side), []).append(experiment.name)
    every = ",".join(experiment.name for experiment in missing)
    lines = [f"  {file}  ({some(names)})" for file, names in users.items()]
    places, verb = [*attached_folders(), keras_home() / "models"], "is" if len(lines) == 1 else "are"
    return MachineRefusal(
        f"{counted(len(lines), 'file')} of pretrained weights {verb} nowhere, and there is no internet:\n"
        + "\n".join(lines),
        f"files of these names in {' or '.join(map(str, places))}",
        "attach a dataset that holds them (or set HISTOBLEND_WEIGHTS to their folder), or put them into the Keras "
        "cache; or leave these networks out with --experiments; or start "
        f"them at random: --experiments {every} --set network.weights=none.",
    )


def network_cost(experiment: Experiment, problem: Problem) -> NetworkCost:
    """What one patch costs, from the network built once; a file of starting weights on this machine is loaded into it.

    Raises:
        MachineRefusal: that file is damaged, or is not what its name says.
    """
    if find_network(experiment.network.name).kind != "keras":
        return NetworkCost()
    import keras

    from histoblend.models.registry import build_network
    from histoblend.models.summary import count_activations, count_grouped_macs, count_macs, count_parameters

    keras.utils.clear_session()
    name, parameters = experiment.network.name, experiment.network.parameters
    model = build_network(name, parameters, problem, pretrained=_has_file(experiment, problem.side))
    return NetworkCost(
        count_macs(model), count_grouped_macs(model), count_parameters(model), count_activations(model)
    )


def resolve_slides(competition: Competition, settings: FoldSettings) -> str:
    """What keeps together in the folds, in words; a slide map is read now, not after an hour of packing.

    Raises:
        DataRefusal: the map asked for is not there, is malformed, or covers only part of the ids.
    """
    path, sentence = resolve_slide_map(competition, settings)
    if path is None and settings.slides != "map":
        return sentence
    no_pixels = np.empty((0, 1, 1, 3), np.uint8)  # a map needs none
    return f"slides: {assign_slides(competition.train, 'map', path, no_pixels, settings.seed).sentence.rstrip('.')}"


def check_machine(
    planned: list[PlannedExperiment],
    fold_count: int,
    patches: tuple[int, int],
    output: Path,
    device: Device,
    cache_bytes: int = 0,
) -> tuple[str, ...]:
    """Compare disk and memory with what the run will need; sentences for the user.

    Args:
        patches: training and test patches.
        cache_bytes: what the pixel cache will take where it lies under `output` too.

    Raises:
        MachineRefusal: either is too small.
    """
    disk_needed = artifact_bytes(planned, fold_count, patches) + cache_bytes
    disk_free = shutil.disk_usage(nearest_existing(output)).free
    if disk_needed > disk_free:
        raise MachineRefusal(
            f"{_size(disk_free)} are free for {output}, the artifacts of this plan take {_size(disk_needed)}.",
            "room for weights, states and predictions",
            "free some space or choose another --output.",
        )
    free = available_memory()
    needed = check_memory(planned, device, free)
    sentences = [
        _weights_sentence(planned),
        f"disk: about {_size(disk_needed)} of artifacts, {_size(disk_free)} free",
        f"memory: about {_size(needed)} needed, {'unknown' if free is None else _size(free)} free",
    ]
    if device.kind == "gpu":
        step = check_card(planned, device, card_memory())
        sentences.append(f"on the card: about {_size(step)} for the largest step")
    return tuple(sentence for sentence in sentences if sentence)


def _weights_sentence(planned: Sequence[PlannedExperiment]) -> str:
    """Where pretrained weights come from; empty where none are used."""
    pretrained = {one.weights for one in planned} - {RANDOM}
    folders = sorted({str(Path(path).parent) for path in pretrained - {DOWNLOAD}})
    places = [*folders, *(["a download"] if DOWNLOAD in pretrained else [])]
    return f"pretrained weights: from {' and '.join(places)}" if places else ""


def artifact_bytes(planned: Sequence[PlannedExperiment], fold_count: int, patches: tuple[int, int]) -> int:
    """Bytes of disk that the artifacts of a plan take, for this many training and test patches."""
    rows = (patches[0] + patches[1] * (fold_count + 1)) * OUTPUT_ROW_BYTES
    weights = sum(one.work.parameters * 4 * fold_count for one in planned)
    state = max((one.work.parameters * 4 * STATE_COPIES for one in planned), default=0)
    return weights + state + rows * (len(planned) + 2)


def check_memory(planned: Sequence[PlannedExperiment], device: Device, free: float | None) -> float:
    """Bytes of main memory the largest task takes, of which `free` are there (None: unknown).

    Raises:
        MachineRefusal: they are too few.
    """
    needed = memory_needed(planned, device)
    if free is not None and needed > free:
        several = f", {device.processes} at a time," if device.processes > 1 else ""
        raise MachineRefusal(
            f"{_size(free)} of memory are free, the largest task{several} takes about {_size(needed)}.",
            "memory for the network's activations and the feed",
            "lower training.batch_size or input_size, or use fewer workers (--set execution.workers=0)"
            + (" or one task at a time (--set execution.processes=1)." if several else "."),
        )
    return needed


def check_card(planned: Sequence[PlannedExperiment], device: Device, card: float | None) -> float:
    """Bytes the largest training step takes on a card that has `card` of them (None: unknown).

    Raises:
        MachineRefusal: they are too few; names the experiments.
    """
    steps = {one.experiment.name: _step_memory([one], device) for one in planned}
    if card is not None and (large := [name for name in steps if steps[name] > card]):
        raise MachineRefusal(
            f"A training step takes about {_size(max(steps.values()))}, and the card has {_size(card)}: {some(large)}.",
            "memory on the card for a network's weights and activations",
            f"lower training.batch_size or input_size: --experiments {','.join(large)} --set training.batch_size=...",
        )
    return max(steps.values(), default=0.0)


def memory_needed(planned: Sequence[PlannedExperiment], device: Device) -> float:
    """Bytes of main memory the largest task takes, as often as tasks run at a time, beside the process of the run.

    On a GPU the activations lie on the card.
    """
    step = _step_memory(planned, device) if device.kind == "cpu" else 0.0
    task = BASE_MEMORY + device.workers * WORKER_MEMORY + step
    return task if device.processes == 1 else BASE_MEMORY + device.processes * task


def _step_memory(planned: Sequence[PlannedExperiment], device: Device) -> float:
    """Bytes of the largest training step: activations, weights and what the optimizer keeps of them."""
    sizes = []
    for one in planned:
        wanted = one.experiment.precision
        precision = device.precision if wanted == "auto" else wanted
        sizes.append(one.work.activation_bytes(precision) + one.work.parameters * 4 * STATE_COPIES)
    return max(sizes, default=0.0)


def available_memory() -> float | None:
    """Bytes of main memory free for this process, or None where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return float(lines["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return None


def _size(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
