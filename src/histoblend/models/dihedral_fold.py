"""For inference a dihedral network is an ordinary one: its kernels are expanded once, normalisations taken into them.

What comes out holds only layers of Keras: convolutions of all 8 * fields channels, the normalisations that no
convolution precedes, and the mean over orientations as a convolution with a fixed kernel.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np

from histoblend.models.dihedral import ORDER
from histoblend.models.dihedral_layers import DihedralConvolution, GroupPooling, TiedBatchNormalization
from histoblend.models.graph import calls

Affine = tuple[np.ndarray, np.ndarray]
"""Scale and offset of each channel, float64 (channels,)."""


def folded_model(model: keras.Model) -> keras.Model:
    """An ordinary network with the same logits, for inference only; `model` itself if nothing of it is dihedral.

    It does not follow `model` when that is trained on.
    """
    if not any(isinstance(layer, (DihedralConvolution, GroupPooling)) for layer in model.layers):
        return model
    merged = _merged(model)
    absorbed = set(merged.values())

    def ordinary(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, DihedralConvolution):
            return _convolution(layer, biased=layer.use_bias or layer.name in merged)
        if isinstance(layer, TiedBatchNormalization) and layer.name not in absorbed:
            return keras.layers.BatchNormalization(
                epsilon=layer.epsilon, name=layer.name, dtype=layer.dtype_policy
            )
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=ordinary, call_function=_called)
    by_name = {layer.name: layer for layer in model.layers}
    for layer in clone.layers:
        if layer.weights and layer.name in by_name:
            normalisation = by_name.get(merged.get(layer.name, ""))
            layer.set_weights(_weights(by_name[layer.name], normalisation))
    return clone


def _merged(model: keras.Model) -> dict[str, str]:
    """Names of the convolutions whose output goes to one normalisation and nowhere else, with that one's."""
    every = list(calls(model))
    uses = Counter(id(tensor) for call in every for tensor in call.inputs)
    makers = {id(call.outputs[0]): call.operation for call in every}
    found = {}
    for call in every:
        if not isinstance(call.operation, TiedBatchNormalization):
            continue
        maker = makers.get(id(call.inputs[0]))
        if isinstance(maker, DihedralConvolution) and uses[id(call.inputs[0])] == 1:
            found[maker.name] = call.operation.name
    return found


def _convolution(layer: DihedralConvolution, biased: bool) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        ORDER * layer.fields,
        layer.kernel_size,
        strides=layer.strides,
        padding="same",
        use_bias=biased,
        name=layer.name,
        dtype=layer.dtype_policy,
    )


def _called(layer: keras.layers.Layer, *arguments: Any, **named: Any) -> Any:
    """Call a layer of the ordinary network; what has no counterpart there is put together from several."""
    (inputs, *_) = arguments
    if isinstance(layer, TiedBatchNormalization):
        return inputs  # it is in the convolution before
    if isinstance(layer, GroupPooling):
        return _pooled(inputs, layer)
    if isinstance(layer, keras.layers.Conv2D) and isinstance(inputs, (list, tuple)):
        joined = keras.layers.Concatenate(name=f"{layer.name}_joined", dtype=layer.dtype_policy)(inputs)
        return layer(joined)
    return layer(*arguments, **named)


def _pooled(inputs: Any, layer: GroupPooling) -> Any:
    """Mean or maximum over the orientations, on maps of any size."""
    channels = inputs.shape[-1]
    fields = channels // ORDER
    if layer.method == "mean":
        return keras.layers.Conv2D(fields, 1, use_bias=False, name=layer.name, dtype=layer.dtype_policy)(
            inputs
        )
    # Keras cuts heights and widths only; to a layer for channels first, the channels of this map are a width.
    orientations = [
        keras.layers.Cropping2D(
            ((0, 0), (start, channels - start - fields)),
            data_format="channels_first",
            name=f"{layer.name}_{number}",
            dtype=layer.dtype_policy,
        )(inputs)
        for number, start in enumerate(range(0, channels, fields))
    ]
    return keras.layers.Maximum(name=layer.name, dtype=layer.dtype_policy)(orientations)


def _weights(layer: keras.layers.Layer, normalisation: keras.layers.Layer | None) -> list[np.ndarray]:
    """Weights of the ordinary layer in place of `layer`, with the normalisation after it taken in."""
    if isinstance(layer, TiedBatchNormalization):
        return [np.tile(values, ORDER) for values in layer.get_weights()]
    if isinstance(layer, GroupPooling):
        mean = np.tile(np.eye(layer.output.shape[-1]), (ORDER, 1)) / ORDER
        return [mean[None, None]]
    if not isinstance(layer, DihedralConvolution):
        return list(layer.get_weights())
    kernel, fields = layer.expanded_values(), ORDER * layer.fields
    bias = np.tile(layer.get_weights()[1], ORDER) if layer.use_bias else np.zeros(fields)
    if normalisation is None:
        return [kernel, bias] if layer.use_bias else [kernel]
    scale, offset = _affine(normalisation)
    return [kernel * scale, bias * scale + offset]


def _affine(layer: keras.layers.Layer) -> Affine:
    gamma, beta, mean, variance = (np.tile(one, ORDER).astype(np.float64) for one in layer.get_weights())
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return scale, beta - mean * scale
