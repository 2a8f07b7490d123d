"""The graph of a functional model, call by call: what is counted on it counts a shared layer at each of its calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Call:
    """One call of a layer, a nested model or an operation of `keras.ops`, with its symbolic tensors."""

    operation: Any
    inputs: list[Any]
    outputs: list[Any]


def calls(model: keras.Model) -> Iterator[Call]:
    """The calls of `model` in the order in which they can be computed; nested models are one call each.

    Keras has no public way to walk a functional graph; a Sequential holds one too.
    """
    functional = getattr(model, "_functional", None) or model
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if not node.is_input:
                yield Call(node.operation, list(node.input_tensors), list(node.output_tensors))


def leaf_calls(model: keras.Model) -> Iterator[Call]:
    """The calls of a model, those inside nested models in place of the nested model's own."""
    for call in calls(model):
        if isinstance(call.operation, keras.Model):
            yield from leaf_calls(call.operation)
        else:
            yield call


def graph_ends(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """The symbolic inputs and outputs of the graph."""
    functional = getattr(model, "_functional", None) or model
    return list(functional.inputs), list(functional.outputs)
