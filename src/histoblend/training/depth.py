"""How deep in the network a weight lies: what is frozen and how fast it learns follow from that.

Gradual unfreezing and discriminative rates after Howard & Ruder 2018 (arXiv:1801.06146). Depth is counted in
layers with weights, in the order in which they are computed, not in stages of one architecture, so that it means the
same for every network.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from histoblend.errors import ConfigRefusal
from histoblend.models.graph import leaf_calls
from histoblend.models.heads import is_of_head


@dataclass(frozen=True)
class Parts:
    """A network with all its layers learning.

    Attributes:
        body: layers with weights before the head, from the input on.
        head: the layers behind the backbone; in a network without one, those that models/heads.py made and the dense
            layers at its end.
        weights: what learns, in the order of ``trainable_variables``.
    """

    body: tuple[keras.layers.Layer, ...]
    head: tuple[keras.layers.Layer, ...]
    weights: tuple[keras.Variable, ...]


def network_parts(model: keras.Model) -> Parts:
    """Body and head of `model`, which has to be as it was built, nothing frozen."""
    computed = {id(call.operation): call.operation for call in leaf_calls(model)}
    learning = [layer for layer in computed.values() if getattr(layer, "trainable_variables", None)]
    head = _behind_backbone(model) or _end(learning)
    body = [layer for layer in learning if all(layer is not one for one in head)]
    return Parts(tuple(body), tuple(head), tuple(model.trainable_variables))


def _behind_backbone(model: keras.Model) -> list[keras.layers.Layer]:
    backbones = [number for number, layer in enumerate(model.layers) if isinstance(layer, keras.Model)]
    behind = model.layers[backbones[-1] + 1 :] if backbones else []
    return [layer for layer in behind if layer.trainable_variables]


def _end(learning: list[keras.layers.Layer]) -> list[keras.layers.Layer]:
    start = len(learning)
    while start and (isinstance(learning[start - 1], keras.layers.Dense) or is_of_head(learning[start - 1])):
        start -= 1
    return [layer for layer in learning[:start] if is_of_head(layer)] + learning[start:]


def let_learn(parts: Parts, share: float) -> None:
    """Let the head and the last `share` of the body learn; what is before is frozen, its normalisations too.

    A frozen batch normalisation runs in inference mode and keeps its statistics. The optimizer has to be built
    anew afterwards.

    Raises:
        ConfigRefusal: the network has nothing before its head.
    """
    if share < 1:
        _check_body(parts, "training.stages")
    frozen = len(parts.body) - round(share * len(parts.body))
    for number, layer in enumerate(parts.body):
        layer.trainable = number >= frozen


def rate_shares(parts: Parts, first_layer_rate: float, weights: list[keras.Variable]) -> list[float]:
    """What the rate of each of `weights` is multiplied with: 1 in the head, `first_layer_rate` in the first layer.

    Raises:
        ConfigRefusal: the network has nothing before its head.
    """
    _check_body(parts, "optimizer.first_layer_rate")
    shares = {id(variable): 1.0 for variable in weights}
    for number, layer in enumerate(parts.body):
        share = first_layer_rate ** (1 - number / len(parts.body))
        shares |= {id(variable): share for variable in layer.trainable_variables}
    return [shares[id(variable)] for variable in weights]


def _check_body(parts: Parts, key: str) -> None:
    if not parts.body:
        raise ConfigRefusal(
            f"{key} tells the head from the layers before it; this network has none before it.",
            "a network of more than dense layers",
            f"leave {key} out.",
        )
