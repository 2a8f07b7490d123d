"""What a network costs: multiply-accumulates and parameters, by arithmetic on its layers' shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras


def count_parameters(model: keras.Model) -> int:
    """All weights of the model, trainable or not."""
    return int(model.count_params())


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one forward pass of one patch, convolutions and dense layers only."""
    return sum(_layer_macs(layer) for layer in leaf_layers(model))


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model, those of nested models included."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def _layer_macs(layer: keras.layers.Layer) -> int:
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.output.shape[1:]) * layer.kernel.shape[0]
    if isinstance(layer, keras.layers.SeparableConv2D):
        depthwise = math.prod(layer.depthwise_kernel.shape)
        pointwise = math.prod(layer.pointwise_kernel.shape)
        return _cells(layer) * (depthwise + pointwise)
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        # kernel: (height, width, channels in one group, filters), or (height, width, channels, multiplier)
        return _cells(layer) * math.prod(layer.kernel.shape)
    return 0


def count_grouped_macs(model: keras.Model) -> int:
    """Those of `count_macs` in depthwise and grouped convolutions, for which cards have no fast kernels."""
    return sum(_layer_macs(layer) for layer in leaf_layers(model) if _is_grouped(layer))


def _is_grouped(layer: keras.layers.Layer) -> bool:
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return depthwise or (isinstance(layer, keras.layers.Conv2D) and layer.groups > 1)


def _cells(layer: keras.layers.Layer) -> int:
    """Positions of the output map (channels last)."""
    return math.prod(layer.output.shape[1:3])


def count_activations(model: keras.Model) -> int:
    """Values that all layers of one patch's forward pass put out together: what a training step keeps."""
    return sum(math.prod(layer.output.shape[1:]) for layer in leaf_layers(model) if _puts_out(layer))


def _puts_out(layer: keras.layers.Layer) -> bool:
    return not isinstance(layer, keras.layers.InputLayer) and hasattr(layer.output, "shape")
