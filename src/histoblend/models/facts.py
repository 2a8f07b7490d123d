"""What a network is, found by building it once with random weights: nothing here is written down twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from histoblend.models.graph import leaf_calls
from histoblend.models.problem import Problem
from histoblend.models.receptive_field import is_map, receptive_field
from histoblend.models.registry import build_network, find_network
from histoblend.models.summary import call_macs, count_macs, count_parameters

SIDE = 96  # pixels of the patch that enters


@dataclass(frozen=True)
class Stage:
    """The layers that put out maps of one size, or vectors (`cells` 1), in a row."""

    cells: int
    """Side of the map; of a sequence of tokens, its length."""
    channels: int
    """Of the last of them."""
    layers: int
    macs: int


@dataclass(frozen=True)
class Facts:
    """One row of the registry in figures; None where it is no network.

    `field` is the side in pixels of the patch that a cell of the last map depends on, None for all of it.
    """

    name: str
    input_size: int
    parameters: int | None = None
    macs: int | None = None
    field: int | None = None
    cells: int | None = None
    stages: tuple[Stage, ...] = ()


def network_facts(
    name: str, parameters: Mapping[str, Any] | None = None, input_size: int | None = None
) -> Facts:
    """Build a network for patches of 96 pixels, seen at `input_size` (the row's own if None), and count.

    Raises:
        ConfigRefusal: there is no such network, or it does not take that size.
    """
    row = find_network(name)
    size = input_size or row.input_size
    if row.kind != "keras":
        return Facts(name, size)
    keras.utils.clear_session()
    model = build_network(name, parameters or {}, Problem(SIDE, size), pretrained=False)
    seen = receptive_field(model)
    return Facts(
        name, size, count_parameters(model), count_macs(model), seen.pixels, seen.cells, stages_of(model)
    )


def stages_of(model: keras.Model) -> tuple[Stage, ...]:
    """The network from input to output, a stage for each size of its maps; vectors beside maps are no stage."""
    stages: list[Stage] = []
    own = [call for call in leaf_calls(model) if isinstance(call.operation, keras.layers.Layer)]
    last_map = max((place for place, call in enumerate(own) if is_map(call.outputs[0])), default=-1)
    for place, call in enumerate(own):
        shape = call.outputs[0].shape
        gate = place < last_map and not is_map(call.outputs[0])  # counts with the stage it stands in
        cells = stages[-1].cells if gate and stages else int(shape[1]) if is_map(call.outputs[0]) else 1
        channels = stages[-1].channels if gate and stages else int(shape[-1])
        stages = _continued(stages, Stage(cells, channels, 1, call_macs(call)))
    return tuple(stages)


def _continued(stages: list[Stage], one: Stage) -> list[Stage]:
    if not stages or stages[-1].cells != one.cells:
        return [*stages, one]
    last = stages[-1]
    return [*stages[:-1], Stage(one.cells, one.channels, last.layers + 1, last.macs + one.macs)]
