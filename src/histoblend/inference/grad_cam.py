"""Where on a patch a network found what spoke for a class: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391).

The channels of the network's last map are weighed by the mean gradient of the class's logit over the map's cells,
summed, and cut at zero. That shows where channels that matter are active, not how much the head makes of that place: a
head that looks at the labelled centre may ignore what lights up beside it. Weighed cell by cell instead (HiResCAM,
Draelos and Carin 2020, arXiv:2011.08891), the map shows what each cell itself brings to the logit; for a head that
takes the mean of the whole map both are the same. Either is coarse: one value a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.models.problem import Problem

if TYPE_CHECKING:
    import keras

    from histoblend.models.graph import Call

OF_THE_HEAD = ("centre_cells", "scores")
"""How the layers are named by which a head cuts or weighs the map: the map is what they are given."""


@dataclass(frozen=True)
class Explained:
    """A network parted at its last map.

    Attributes:
        to_map: patches uint8 (n, side, side, 3) -> map (n, h, w, channels).
        to_logits: map -> logits (n, outputs).
        side: of the patch in pixels.
        covered: side in pixels of the square in the middle of the patch that the map covers.
    """

    to_map: keras.Model
    to_logits: keras.Model
    side: int
    covered: int


def explained(model: keras.Model, problem: Problem, crop: int | None = None) -> Explained:
    """Part `model`, a network up to its logits, at its last map.

    Args:
        problem: what it was built for; `crop`: the square of the patch that it sees, None for all of it.

    Raises:
        ConfigRefusal: it has no last map, or several; says which.
    """
    import keras

    from histoblend.models.graph import graph_ends

    (patch, *_), (logits, *_) = graph_ends(model)
    last = last_map(model)
    to_map, to_logits = keras.Model(patch, last), keras.Model(last, logits)
    return Explained(to_map, to_logits, problem.side, problem.field(crop).side)


def last_map(model: keras.Model) -> Any:
    """The symbolic map (n, h, w, channels) that the head of `model` reads.

    Raises:
        ConfigRefusal: there is none, there are several, or it is a single cell.
    """
    from histoblend.models.graph import calls, graph_ends

    makers = {id(output): call for call in calls(model) for output in call.outputs}
    maps = {id(one): one for one in _read_by_head(graph_ends(model)[1][0], makers)}
    if len(maps) > 1:
        raise _no_map(model, f"its head reads {len(maps)} maps of different parts of the patch")
    last = next(iter(maps.values()))
    if not _learned(last, makers):
        raise _no_map(model, "its dense layers read the pixels themselves")
    if last.shape[1] * last.shape[2] == 1:
        raise _no_map(model, "its last map is a single cell")
    return last


def _read_by_head(logits: Any, makers: dict[int, Call]) -> list[Any]:
    """The first tensors with a height and a width that are met on the way back from the logits."""
    found, waiting = [], [logits]
    while waiting:
        tensor = waiting.pop()
        while len(tensor.shape) == 4 and _is_of_head(makers.get(id(tensor))):
            tensor = makers[id(tensor)].inputs[0]
        if len(tensor.shape) == 4:
            found.append(tensor)
        else:
            waiting += makers[id(tensor)].inputs
    return found


def _is_of_head(call: Call | None) -> bool:
    return call is not None and str(call.operation.name).endswith(OF_THE_HEAD)


def _learned(tensor: Any, makers: dict[int, Call]) -> bool:
    """Whether a layer with weights stands between the pixels and `tensor`."""
    call = makers.get(id(tensor))
    if call is None:
        return False
    return bool(getattr(call.operation, "weights", ())) or any(_learned(one, makers) for one in call.inputs)


def _no_map(model: keras.Model, why: str) -> ConfigRefusal:
    return ConfigRefusal(
        f"{model.name} has no last map that could be shown: {why}.",
        "one map of several cells, read by a head",
        "choose another network.",
    )


def grad_cam(
    parted: Explained, patches: np.ndarray, classes: np.ndarray, *, by_cell: bool = False
) -> np.ndarray:
    """Maps float64 (n, side, side) in 0..1 of what speaks for a class; each patch's highest value is 1.

    All zeros where nothing on the map speaks for the class, and outside of what the network sees.

    Args:
        patches: uint8 (n, side, side, 3).
        classes: int (n,): the class asked about. Of a network with one logit, 1 is the class it is the logit of.
        by_cell: weigh channels by the gradient of each cell, not by its mean over the map.

    Raises:
        MachineRefusal: Keras runs on another backend than TensorFlow.
    """
    activations, gradients = _map_and_gradients(parted, patches, classes)
    weights = gradients if by_cell else gradients.mean(axis=(1, 2), keepdims=True)
    cells = np.maximum((weights * activations).sum(axis=-1), 0)
    highest = cells.max(axis=(1, 2), keepdims=True)
    shares = np.divide(cells, highest, out=np.zeros_like(cells), where=highest > 0)
    return np.stack([_spread(one, parted) for one in shares])


def _map_and_gradients(
    parted: Explained, patches: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The map and the gradient of each patch's class on it, float64; the one place that asks TensorFlow."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise MachineRefusal(
            f"Keras runs on {keras.backend.backend()}, on which gradients are not taken here.",
            "KERAS_BACKEND=tensorflow",
            "unset KERAS_BACKEND for this command.",
        )
    import tensorflow as tf

    activations = tf.convert_to_tensor(parted.to_map(patches, training=False))
    with tf.GradientTape() as tape:
        tape.watch(activations)
        logits = parted.to_logits(activations, training=False)
        single = logits.shape[-1] == 1
        weights = (2.0 * classes - 1)[:, None] if single else np.eye(logits.shape[-1])[classes]
        score = tf.reduce_sum(logits * tf.cast(weights, logits.dtype))
    gradients = tape.gradient(score, activations)
    return np.asarray(activations, np.float64), np.asarray(gradients, np.float64)


def _spread(cells: np.ndarray, parted: Explained) -> np.ndarray:
    """A map (h, w) as pixels (side, side), between the cells' middles linearly."""
    covered = cv2.resize(cells, (parted.covered, parted.covered), interpolation=cv2.INTER_LINEAR)
    before = (parted.side - parted.covered) // 2
    after = parted.side - parted.covered - before
    return np.asarray(np.pad(covered, ((before, after), (before, after))))
