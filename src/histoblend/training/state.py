"""The state of a task between two epochs, in one atomic file.

It holds the raw weights, normalisation statistics and dropout seeds (all `model.variables`), the optimizer with
its moving average and loss scale, the history, and, where a recipe keeps them, the best weights so far and the mean
of the weights of the last epochs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from histoblend.errors import ArtifactRefusal
from histoblend.training.state_about import DAMAGE
from histoblend.workspace import atomic_write

Arrays = list[np.ndarray]
PARTS = ("model", "optimizer", "best", "average")


@dataclass
class TaskState:
    """What a task needs to go on after `len(history)` epochs as if it had never stopped."""

    fingerprint: str
    history: list[dict[str, float]]
    model: Arrays
    optimizer: Arrays
    best: Arrays = field(default_factory=list)
    average: Arrays = field(default_factory=list)
    device: str = ""
    """What the last epoch ran on: its seconds say nothing of another device."""


def values_of(variables: list[keras.Variable]) -> Arrays:
    """Copies of the variables' values."""
    return [np.array(variable) for variable in variables]


def assign_values(variables: list[keras.Variable], values: Arrays) -> None:
    """Give the variables these values.

    Raises:
        ArtifactRefusal: number or shapes differ.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    found = [value.shape for value in values]
    if shapes != found:
        raise ArtifactRefusal(
            f"Saved values do not fit the network: {len(found)} arrays for {len(shapes)} variables.",
            "a state of the same network and optimizer",
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def save_state(path: Path, state: TaskState) -> None:
    """Write `state`, atomically."""
    arrays: dict[str, Any] = {}
    for part in PARTS:
        arrays |= {f"{part}.{number:05d}": value for number, value in enumerate(getattr(state, part))}
    about = {
        "fingerprint": state.fingerprint,
        "history": state.history,
        "arrays": sorted(arrays),
        "device": state.device,
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with atomic_write(path) as temporary:
        np.savez(temporary, **arrays)


def load_state(path: Path, fingerprint: str) -> TaskState:
    """Read a state written by `save_state` for the task with this fingerprint.

    Raises:
        ArtifactRefusal: the file is damaged, or belongs to another configuration, data set or split.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            content = {name: stored[name] for name in stored.files}
        about = json.loads(content.pop("about").tobytes())
        if sorted(content) != about["arrays"]:
            raise ValueError("arrays are missing")  # a damaged directory of the archive hides some
    except DAMAGE as error:
        raise ArtifactRefusal(
            f"{path} is damaged: {error}.",
            "the state of a task between two epochs",
            "delete that file; the task then starts from its first epoch.",
        ) from error
    if about["fingerprint"] != fingerprint:
        raise ArtifactRefusal(f"{path} belongs to another configuration.", f"fingerprint {fingerprint}")
    parts = {
        part: [content[name] for name in sorted(content) if name.startswith(f"{part}.")] for part in PARTS
    }
    return TaskState(fingerprint, about["history"], **parts, device=about.get("device", ""))
