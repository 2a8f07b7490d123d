"""How much of the patch a cell of the last feature map depends on, by exact arithmetic on the graph.

Along one axis, cell i of a map depends on the pixels ``first + i * step`` to ``last + i * step``. Every layer turns the
span of its input into that of its output; branches that meet take the union. What looks at a whole map at once
(global pooling that gates the map, attention over positions) makes the span infinite.
(Araujo, Norris and Sim 2019, Computing Receptive Fields of Convolutional Neural Networks, Distill.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import keras
from keras import layers

from histoblend.models.graph import Call, calls, graph_ends


@dataclass(frozen=True)
class Span:
    """Pixels that cell 0 of a map depends on, and by how many pixels neighbouring cells differ."""

    first: Fraction
    last: Fraction
    step: Fraction
    whole: bool = False

    def widened(self, before: int, after: int, stride: int) -> Span:
        """The span of a window from `before` cells ahead to `after` cells behind, moved by `stride` cells."""
        first, last = self.first - before * self.step, self.last + after * self.step
        return Span(first, last, self.step * stride, self.whole)

    def moved(self, cells: int) -> Span:
        """The same for a map whose first cell is the one `cells` further."""
        return Span(self.first + cells * self.step, self.last + cells * self.step, self.step, self.whole)


@dataclass(frozen=True)
class ReceptiveField:
    """What the head is fed.

    Attributes:
        pixels: side of the square of the patch that one cell depends on; None for all of the patch.
        cells: side of the last feature map in cells; 0 where the network has none.
    """

    pixels: int | None
    cells: int


WHOLE = Span(Fraction(0), Fraction(0), Fraction(1), whole=True)
POINTWISE = (
    layers.Rescaling, layers.Normalization, layers.BatchNormalization, layers.Activation, layers.ReLU,
    layers.LeakyReLU, layers.ELU, layers.PReLU, layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise,
    layers.Add, layers.Average, layers.Subtract, layers.Maximum, layers.Minimum, layers.Multiply,
    layers.Concatenate, layers.Dense, layers.Identity, layers.Reshape, layers.Embedding, layers.InputLayer,
    layers.Softmax,
)  # fmt: skip
WHOLE_MAP = (
    layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.GlobalAveragePooling1D,
    layers.GlobalMaxPooling1D, layers.Flatten, layers.MultiHeadAttention, layers.GroupNormalization,
)  # fmt: skip
POINTWISE_OPERATIONS = {
    "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Cast", "Sigmoid", "Relu", "Relu6",
    "HardSigmoid", "Silu", "Gelu", "Tanh", "Exp", "Square", "Sqrt", "Abs", "Negative", "Concatenate", "Reshape",
}  # fmt: skip


def receptive_field(model: keras.Model) -> ReceptiveField:
    """The receptive field of the maps that the head of `model` turns into a vector, the widest of several.

    Raises:
        TypeError: a layer is not known, so that its reach cannot be told.
    """
    inputs, outputs = graph_ends(model)
    side = int(inputs[0].shape[1])
    found = _walk(model, [Span(Fraction(0), Fraction(0), Fraction(1)) for _ in inputs])
    maps = [tensor for tensor in found.maps if found.feeds_head(tensor, outputs)]
    if not maps:
        return ReceptiveField(None, 0)
    spans = [found.spans[id(tensor)] for tensor in maps]
    widest = max(spans, key=lambda span: (span.whole, span.last - span.first))
    pixels = math.ceil(widest.last - widest.first) + 1
    cells = max(_cells(tensor) for tensor in maps)
    return ReceptiveField(None if widest.whole or pixels >= side else pixels, cells)


def _cells(tensor: Any) -> int:
    """Side of a map; the root of the number of tokens (one more may carry the class)."""
    return int(tensor.shape[1]) if len(tensor.shape) == 4 else math.isqrt(int(tensor.shape[1]))


class _Walk:
    """The spans of all tensors of a graph, and which of them become a vector."""

    def __init__(self) -> None:
        self.spans: dict[int, Span] = {}
        self.users: dict[int, list[Call]] = {}
        self.maps: list[Any] = []

    def feeds_head(self, tensor: Any, outputs: list[Any]) -> bool:
        """Whether some user of the map leads to no map any more: neither directly nor later."""
        users = self.users.get(id(tensor), [])
        return any(not self._leads_to_map(user) for user in users)

    def _leads_to_map(self, call: Call) -> bool:
        waiting, seen = [call], set()
        while waiting:
            one = waiting.pop()
            for tensor in one.outputs:
                if is_map(tensor):
                    return True
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    waiting += self.users.get(id(tensor), [])
        return False


def is_map(tensor: Any) -> bool:
    """Whether a symbolic tensor holds several places of the patch: (n, h, w, c) or (n, tokens, c)."""
    shape = tensor.shape
    return len(shape) in (3, 4) and math.prod(shape[1:-1]) > 1


def _walk(model: keras.Model, spans: list[Span]) -> _Walk:
    walk = _Walk()
    inputs, _ = graph_ends(model)
    walk.spans = {id(tensor): span for tensor, span in zip(inputs, spans, strict=True)}
    for call in calls(model):
        for tensor in call.inputs:
            walk.users.setdefault(id(tensor), []).append(call)
        before = [walk.spans[id(tensor)] for tensor in call.inputs]
        after = _through(call, before)
        walk.spans |= {id(tensor): span for tensor, span in zip(call.outputs, after, strict=True)}
        walk.maps += [tensor for tensor in call.outputs if is_map(tensor)]
    return walk


def _through(call: Call, spans: list[Span]) -> list[Span]:
    """The spans of what a call puts out."""
    if isinstance(call.operation, keras.Model):
        inner = _walk(call.operation, spans)
        return [inner.spans[id(tensor)] for tensor in graph_ends(call.operation)[1]]
    return [_layer_span(call, _union(call.inputs, spans))] * len(call.outputs)


def _union(tensors: list[Any], spans: list[Span]) -> Span:
    """What branches that meet depend on together; a vector that gates a map brings all it has seen."""
    if any(span.whole for span in spans):
        return WHOLE
    of_maps = [span for tensor, span in zip(tensors, spans, strict=True) if is_map(tensor)] or spans
    first, last = min(span.first for span in of_maps), max(span.last for span in of_maps)
    return Span(first, last, of_maps[0].step)


def _layer_span(call: Call, span: Span) -> Span:
    layer = call.operation
    reach = getattr(layer, "reach", "")
    if span.whole or reach == "whole" or isinstance(layer, WHOLE_MAP):
        return WHOLE
    if is_map(call.inputs[0]) and not is_map(call.outputs[0]):
        return WHOLE  # a vector of a map
    if isinstance(layer, layers.Resizing):
        return _resized(layer, call, span)
    if isinstance(layer, (layers.Cropping2D, layers.ZeroPadding2D)):
        (top, _), _ = layer.cropping if isinstance(layer, layers.Cropping2D) else layer.padding
        return span.moved(top if isinstance(layer, layers.Cropping2D) else -top)
    if isinstance(layer, layers.CenterCrop):
        return span.moved((call.inputs[0].shape[1] - call.outputs[0].shape[1]) // 2)
    if hasattr(layer, "kernel_size") or hasattr(layer, "pool_size"):
        return _windowed(layer, call.inputs[0].shape[1], span)
    if isinstance(layer, layers.LayerNormalization):
        return span if list(layer.axis) in ([-1], [len(call.inputs[0].shape) - 1]) else WHOLE
    if isinstance(layer, POINTWISE) or reach == "cell" or _is_elementwise(layer):
        return span
    raise TypeError(f"the reach of {type(layer).__name__} is not known: give it reach = 'cell' or 'whole'")


def _is_elementwise(operation: object) -> bool:
    own = not isinstance(operation, layers.Layer)
    # keras.applications has a few private layers of its own, such as ConvNeXt's LayerScale and drop path.
    pointwise = type(operation).__name__ in ("LayerScale", "StochasticDepth")
    return pointwise or (own and type(operation).__name__ in POINTWISE_OPERATIONS)


def _windowed(layer: Any, side: int, span: Span) -> Span:
    """A convolution or a pooling over windows, on a map of `side` cells."""
    size = layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size
    stride, dilation = _first(layer.strides or size), _first(getattr(layer, "dilation_rate", 1))
    extent = (_first(size) - 1) * dilation
    before = 0
    if getattr(layer, "padding", "same") == "same":
        before = max((math.ceil(side / stride) - 1) * stride + extent + 1 - side, 0) // 2
    return span.widened(before, extent - before, stride)


def _first(value: Any) -> int:
    return int(value[0]) if isinstance(value, (tuple, list)) else int(value)


def _resized(layer: layers.Resizing, call: Call, span: Span) -> Span:
    """Bilinear interpolation between two neighbours; antialiased, a triangle as wide as two new cells.

    An output cell's centre lies at ``(i + 1/2) * scale - 1/2``; the span is that of its support, not rounded to
    the cells it meets, so the result is at most one cell too large at either end.
    """
    scale = Fraction(int(call.inputs[0].shape[1]), int(call.outputs[0].shape[1]))
    support = max(scale, Fraction(1)) if layer.antialias else Fraction(1)
    centre = (scale - 1) / 2
    first, last = span.first + (centre - support) * span.step, span.last + (centre + support) * span.step
    return Span(first, last, span.step * scale)
