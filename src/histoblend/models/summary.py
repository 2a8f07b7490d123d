"""What a network costs: multiply-accumulates and parameters, by arithmetic on its layers' shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras

from histoblend.models.graph import Call, leaf_calls

# Layers whose weights multiply nothing that is counted: normalisation scales, tables that are looked up.
NO_MACS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
    keras.layers.Embedding,
)


def count_parameters(model: keras.Model) -> int:
    """All weights of the model, trainable or not."""
    return int(model.count_params())


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one forward pass of one patch: convolutions, dense layers, attention.

    A layer of our own that multiplies says by how much itself, in a method ``macs()``.

    Raises:
        TypeError: a layer holds kernels and is not known, so that its share would be missed.
    """
    return sum(call_macs(call) for call in leaf_calls(model))


def call_macs(call: Call) -> int:
    """Multiply-accumulates of one call of a layer for one patch."""
    layer, outputs = call.operation, call.outputs[0].shape
    if hasattr(layer, "macs"):
        return int(layer.macs())
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return _attention_macs(layer, call)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(outputs[1:]) * int(layer.kernel.shape[0])
    cells = math.prod(outputs[1:3])  # positions of the output map (channels last)
    if isinstance(layer, keras.layers.SeparableConv2D):
        depthwise = math.prod(layer.depthwise_kernel.shape)
        pointwise = math.prod(layer.pointwise_kernel.shape)
        return cells * (depthwise + pointwise)
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        # kernel: (height, width, channels in one group, filters), or (height, width, channels, multiplier)
        return cells * math.prod(layer.kernel.shape)
    _check_free(layer)
    return 0


def _attention_macs(layer: keras.layers.MultiHeadAttention, call: Call) -> int:
    """Projections, scores and weighted sums of (n, tokens, channels)."""
    settings = layer.get_config()
    heads, key = settings["num_heads"], settings["key_dim"]
    value = settings["value_dim"] or key
    query = call.inputs[0].shape
    source = call.inputs[min(1, len(call.inputs) - 1)].shape
    tokens, sources = math.prod(query[1:-1]), math.prod(source[1:-1])
    projected = key * (tokens * query[-1] + sources * source[-1]) + value * sources * source[-1]
    scores = tokens * sources * (key + value)
    return heads * int(projected + scores + value * tokens * call.outputs[0].shape[-1])


def _check_free(layer: object) -> None:
    if not isinstance(layer, keras.layers.Layer) or isinstance(layer, NO_MACS):
        return
    kernels = [weight.path for weight in layer.trainable_weights if len(weight.shape) > 1]
    if kernels:
        raise TypeError(f"{type(layer).__name__} holds {', '.join(kernels)} and has no method macs()")


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model, those of nested models included."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def count_grouped_macs(model: keras.Model) -> int:
    """Those of `count_macs` in depthwise and grouped convolutions, for which cards have no fast kernels."""
    return sum(call_macs(call) for call in leaf_calls(model) if _is_grouped(call.operation))


def _is_grouped(layer: object) -> bool:
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return depthwise or (isinstance(layer, keras.layers.Conv2D) and layer.groups > 1)


def count_activations(model: keras.Model) -> int:
    """Values that all layers of one patch's forward pass put out together: what a training step keeps."""
    return sum(math.prod(tensor.shape[1:]) for call in leaf_calls(model) for tensor in call.outputs)
