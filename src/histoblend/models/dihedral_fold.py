"""For inference a dihedral network is an ordinary one: its kernels are expanded once, normalisations taken into them.

What comes out holds ordinary convolutions of all 8 * fields channels, the normalisations that no convolution precedes,
and the mean over orientations as a convolution with a fixed kernel. Normalisations are taken in only where kernels are
float32: in half precision a scaled kernel rounds otherwise than the one that was trained, so they stay beside the
convolutions there, and the logits are those of the trained network bit for bit. (Logits of four random `d4_resnet`s in
bfloat16, root mean square distance from float32: .001 to .005 with scaled kernels, .003 to .007 as trained.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from histoblend.models.dihedral import ORDER
from histoblend.models.dihedral_layers import DihedralConvolution, GroupPooling, TiedBatchNormalization
from histoblend.models.graph import calls

Affine = tuple[np.ndarray, np.ndarray]
"""Scale and offset of each channel, float64 (channels,)."""


def folded_model(model: keras.Model) -> keras.Model:
    """An ordinary network with the same logits, for inference here; `model` itself if nothing of it is dihedral.

    It computes in the precision of `model`, and does not follow it when that is trained on. Normalisations that stay
    are ours, which are fast.
    """
    if not _is_dihedral(model):
        return model
    merged = _merged(model) if _in_full(model) else {}
    return _Folding(model, merged, exported=False).network()


def exported_model(model: keras.Model) -> keras.Model:
    """The same for a file that others read: layers of Keras alone (but for a head of ours), in float32 or better."""
    return _Folding(model, _merged(model), exported=True).network() if _is_dihedral(model) else model


def _is_dihedral(model: keras.Model) -> bool:
    return any(isinstance(layer, (DihedralConvolution, GroupPooling)) for layer in model.layers)


def _in_full(model: keras.Model) -> bool:
    """Whether its convolutions compute in float32 or better."""
    kernels = (layer for layer in model.layers if isinstance(layer, DihedralConvolution))
    return all(layer.compute_dtype in ("float32", "float64") for layer in kernels)


@dataclass(frozen=True)
class _Folding:
    """One network on its way to an ordinary one.

    Attributes:
        model: the dihedral network.
        merged: names of its convolutions that take in a normalisation, with that one's.
        exported: whether layers of ours give way to those of Keras, in float32 at least.
    """

    model: keras.Model
    merged: Mapping[str, str]
    exported: bool

    def network(self) -> keras.Model:
        """The ordinary network with its weights."""
        # Without the training's loss and metrics: a clone of a compiled model would be compiled as it is.
        bare = keras.Model(self.model.inputs[0], self.model.outputs[0], name=self.model.name)
        clone = keras.models.clone_model(bare, clone_function=self.ordinary, call_function=self.called)
        by_name = {layer.name: layer for layer in self.model.layers}
        for layer in clone.layers:
            if layer.weights and layer.name in by_name:
                normalisation = by_name.get(self.merged.get(layer.name, ""))
                source = by_name[layer.name]
                kept = type(source) is type(layer)
                layer.set_weights(source.get_weights() if kept else _weights(source, normalisation))
        return clone

    def ordinary(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """What stands in place of a layer."""
        if isinstance(layer, DihedralConvolution):
            return self._convolution(layer)
        if isinstance(layer, TiedBatchNormalization) and self.exported:
            return keras.layers.BatchNormalization(
                epsilon=layer.epsilon, name=layer.name, dtype=self._dtype(layer)
            )
        return type(layer).from_config({**layer.get_config(), "dtype": self._dtype(layer)})

    def _dtype(self, layer: keras.layers.Layer) -> Any:
        half = layer.compute_dtype in ("bfloat16", "float16")
        return "float32" if self.exported and half else layer.dtype_policy

    def _convolution(self, layer: DihedralConvolution) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            ORDER * layer.fields,
            layer.kernel_size,
            strides=layer.strides,
            padding="same",
            use_bias=layer.use_bias or layer.name in self.merged,
            name=layer.name,
            dtype=self._dtype(layer),
        )

    def called(self, layer: keras.layers.Layer, *arguments: Any, **named: Any) -> Any:
        """Call a layer of the ordinary network; what has no counterpart there is put together from several."""
        (inputs, *_) = arguments
        if layer.name in self.merged.values():
            return inputs  # it is in the convolution before
        if isinstance(layer, GroupPooling):
            return _pooled(inputs, layer)
        if isinstance(layer, keras.layers.Conv2D) and isinstance(inputs, (list, tuple)):
            joined = keras.layers.Concatenate(name=f"{layer.name}_joined", dtype=layer.dtype_policy)(inputs)
            return layer(joined)
        return layer(*arguments, **named)


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
    """Weights of the ordinary layer in place of a dihedral one, with the normalisation after it taken in."""
    if isinstance(layer, TiedBatchNormalization):
        return [np.tile(values, ORDER) for values in layer.get_weights()]
    if isinstance(layer, GroupPooling):
        mean = np.tile(np.eye(layer.output.shape[-1]), (ORDER, 1)) / ORDER
        return [mean[None, None]]
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
