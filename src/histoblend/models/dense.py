"""A patch network as a fully convolutional one: a logit for every window of a larger picture in one pass.

Convolutions and aligned pooling do not care how large their input is; what ties a network to the patch is its head.
Here each mean (or maximum) over the whole map, or over the labelled centre, becomes the same mean over every window
of as many cells, moved cell by cell; the last dense layer is then applied at each place. Weights are the same
(Long, Shelhamer and Darrell 2015, arXiv:1411.4038; Sermanet et al. 2014, arXiv:1312.6229).

What differs from predicting tile by tile is the border: a tile alone is surrounded by zeros at every convolution,
a window of a larger picture by its real neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras
from keras import layers

from histoblend.errors import ConfigRefusal
from histoblend.models.pooling import CentreAttention, GeneralisedMean

ANY_SIZE = (
    layers.InputLayer, layers.Rescaling, layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D,
    layers.MaxPooling2D, layers.AveragePooling2D, layers.BatchNormalization, layers.LayerNormalization,
    layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Add, layers.Maximum, layers.Concatenate,
    layers.Dropout, layers.SpatialDropout2D, layers.Cropping2D, layers.CenterCrop, layers.Dense,
)  # fmt: skip
WINDOWED: dict[type[keras.layers.Layer], type[keras.layers.Layer]] = {
    layers.GlobalAveragePooling2D: layers.AveragePooling2D,
    layers.GlobalMaxPooling2D: layers.MaxPooling2D,
}
REASONS: dict[type[keras.layers.Layer], str] = {
    layers.Flatten: "its head reads every cell of the map at a place of its own",
    GeneralisedMean: "its head takes a generalised mean (gem), which has no form for moving windows here",
    CentreAttention: "its head weighs the cells of a patch against each other (centre_attention)",
    layers.Resizing: "it resizes the patch",
    layers.GroupNormalization: "its group normalisation takes statistics over the whole patch",
    keras.Model: "its body is a network of keras.applications, whose receptive field is wider than the patch",
}


@dataclass(frozen=True)
class Frame:
    """The geometry of a network that can be used on any size, in pixels.

    Attributes:
        side: of the patch.
        cell: distance between neighbouring windows: what one step on the last map is in the patch.
        reach: how far beyond a window its logit still depends on pixels, at most; a multiple of `cell`.
    """

    side: int
    cell: int
    reach: int


def dense_frame(model: keras.Model) -> Frame:
    """The geometry of `model` (up to its logit) as a fully convolutional network.

    Raises:
        ConfigRefusal: it cannot be used as one; says why.
    """
    if reason := _obstacle(model):
        raise ConfigRefusal(
            f"The network {model.name} cannot be run over a picture in one pass: {reason}.",
            "convolutions and aligned pooling under a head that takes means or maxima",
            "leave --dense out: the picture is then cut into tiles, which any network can do.",
        )
    side, field = model.input.shape[1], _field(model)
    last = next(layer for layer in model.layers if type(layer) in WINDOWED and not _cropped(layer))
    cell = field // last.input.shape[1]
    spread = sum(_spread(layer, field) for layer in model.layers)
    return Frame(side, cell, (math.ceil(spread / 2 / cell) + 1) * cell)


def dense_model(model: keras.Model, block: int) -> keras.Model:
    """`model` with its weights, for pictures uint8 (n, block, block, 3), `block` a multiple of the frame's cell.

    Returns:
        A network whose output is (n, p, p, outputs), p = (block - side) / cell + 1: the logits of the windows whose
        first pixel is at multiples of the cell. Zeros surround the block at every convolution, so windows nearer
        to its border than the frame's reach see less than they would in a larger one.

    Raises:
        ConfigRefusal: see `dense_frame`.
    """
    dense_frame(model)
    clone = keras.models.clone_model(
        model,
        input_tensors=keras.Input((block, block, 3), dtype="uint8", name="block"),
        clone_function=_for_any_size,
    )
    for layer in model.layers:
        if layer.weights:
            clone.get_layer(layer.name).set_weights(layer.get_weights())
    return clone


def _for_any_size(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The same layer anew; global pooling as pooling over windows of the size it had in the patch."""
    if type(layer) in WINDOWED:
        windowed = WINDOWED[type(layer)]
        return windowed(layer.input.shape[1:3], strides=1, name=layer.name, dtype=layer.dtype_policy)
    if isinstance(layer, layers.CenterCrop):
        margin = (layer.input.shape[1] - layer.output.shape[1]) // 2
        return layers.Cropping2D(margin, name=layer.name, dtype=layer.dtype_policy)
    return type(layer).from_config(layer.get_config())


def _obstacle(model: keras.Model) -> str:
    """Why `model` cannot be run on any size; empty if it can."""
    for layer in model.layers:
        if reason := _reason(layer):
            return reason
    if any(_splits_off(layer, model) for layer in model.layers):
        return "it sees the labelled centre through a stream of its own, surrounded by zeros"
    field = _field(model)
    if any(_size(layer) and field % _size(layer) for layer in _body(model)):
        return f"its maps do not divide its {field} pixels evenly, so windows would not be aligned with its pooling"
    if (model.input.shape[1] - field) % 2:
        return "its centre crop is not in the middle of a pixel grid"
    if not any(type(layer) in WINDOWED and not _cropped(layer) for layer in model.layers):
        return "its head takes no mean over the whole map"
    return ""


def _reason(layer: keras.layers.Layer) -> str:
    if type(layer) in WINDOWED:
        return "it weighs channels by their mean over the whole patch (attention)" if layer.keepdims else ""
    if isinstance(layer, layers.LayerNormalization) and list(layer.axis) not in ([-1], [3]):
        return "its layer normalisation takes statistics over the whole patch"
    if isinstance(layer, ANY_SIZE):
        return ""
    known = (reason for kind, reason in REASONS.items() if isinstance(layer, kind))
    return next(known, f"its layer {layer.name} ({type(layer).__name__}) is not known to work on any size")


def _field(model: keras.Model) -> int:
    """Side in pixels of what the convolutions see of the patch: all of it, or its centre crop."""
    crops = [layer.output.shape[1] for layer in model.layers if isinstance(layer, layers.CenterCrop)]
    return int(crops[0] if crops else model.input.shape[1])


def _body(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers between entrance and head."""
    outside = (layers.InputLayer, layers.Rescaling, layers.Cropping2D, layers.CenterCrop)
    return (layer for layer in model.layers if not isinstance(layer, outside))


def _splits_off(layer: keras.layers.Layer, model: keras.Model) -> bool:
    """Whether the layer cuts the centre out for one stream while another goes on with what lies around."""
    others = (other for other in model.layers if other is not layer)
    return isinstance(layer, layers.CenterCrop) and any(other.input is layer.input for other in others)


def _cropped(layer: keras.layers.Layer) -> bool:
    """Whether this global pooling looks at the labelled centre only."""
    return isinstance(layer.input._keras_history.operation, layers.Cropping2D)


def _size(layer: keras.layers.Layer) -> int:
    """Side of the map that the layer puts out; 0 for a vector."""
    shape = layer.output.shape
    return int(shape[1]) if len(shape) == 4 else 0


def _spread(layer: keras.layers.Layer, field: int) -> int:
    """By how many pixels the layer widens what a cell depends on, both sides together."""
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)):
        kernel, dilation = layer.kernel_size[0], layer.dilation_rate[0]
    elif isinstance(layer, (layers.MaxPooling2D, layers.AveragePooling2D)):
        kernel, dilation = layer.pool_size[0], 1
    else:
        return 0
    return int((kernel - 1) * dilation * field // layer.input.shape[1])
