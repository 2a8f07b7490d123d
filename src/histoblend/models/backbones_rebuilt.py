"""Backbones of keras.applications built again with some layers changed, under the same names and weights.

Keras's batch normalisation gives way to ours (TensorFlow's fused kernel), the stem may shrink the picture less, blocks
may get attention. Kernels keep their shapes, so weights of the plain backbone go over layer by layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from histoblend.errors import ConfigRefusal
from histoblend.models.attention_blocks import ATTENTION
from histoblend.models.layers import BatchNormalization

LARGEST_MOMENTUM = 0.99
"""Of moving statistics. NASNet has .9997 and MobileNet .999: in trainings of a few thousand steps, and in the scores
between their epochs, such statistics would be those of weights long gone."""
Changes = Mapping[str, Mapping[str, Any]]
"""Layer name -> entries of its configuration that change."""

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FIRST_SHORTCUT = "the first convolution without a name of its own"  # Xception's are conv2d, conv2d_7, ...

_ONE = {"strides": (1, 1)}
_EVEN = {"strides": (1, 1), "padding": "same"}  # a 2x2 window at stride 1 would lose a row and a column
_AROUND = {"padding": ((1, 1), (1, 1))}  # stride 2 on an even side pads below and right only
_DENSENET = ({"conv1_conv": _ONE}, {"pool1": _ONE})
_RESNET = ({"conv1_conv": _ONE}, {"pool1_pool": _ONE})
_EFFICIENTNET: tuple[Changes, Changes] = (
    {"stem_conv_pad": _AROUND, "stem_conv": _ONE},
    {"block2a_dwconv_pad": _AROUND, "block2a_dwconv": _ONE},
)
_EFFICIENTNETV2 = ({"stem_conv": _ONE}, {"block2a_expand_conv": _ONE})

STEMS: dict[str, tuple[Changes, Changes]] = {
    "densenet121": _DENSENET,
    "densenet169": _DENSENET,
    "efficientnet_b0": _EFFICIENTNET,
    "efficientnet_b3": _EFFICIENTNET,
    "efficientnetv2_b0": _EFFICIENTNETV2,
    "efficientnetv2_s": _EFFICIENTNETV2,
    "resnet50": _RESNET,
    "resnet50v2": _RESNET,
    "convnext_tiny": (
        {"convnext_tiny_stem_conv": {"strides": (2, 2), "padding": "same"}},
        {"convnext_tiny_stem_conv": _EVEN},
    ),
    "xception": ({"block1_conv1": _ONE}, {"block2_pool": _ONE, FIRST_SHORTCUT: _ONE}),
    "mobilenet_v2": ({"Conv1": _ONE}, {"block_1_pad": _AROUND, "block_1_depthwise": _ONE}),
    "mobilenet_v3_large": (
        {"conv": _ONE},
        {"expanded_conv_1_depthwise_pad": _AROUND, "expanded_conv_1_depthwise": _ONE},
    ),
    "vgg16": ({"block1_pool": _EVEN}, {"block2_pool": _EVEN}),
}
"""What takes out the first stride of a backbone, and what the second."""


def rebuilt(plain: keras.Model, backbone: str, *, stem_stride: int = 4, attention: str = "") -> keras.Model:
    """The backbone with our batch normalisation, fewer strides and attention where asked; same weights.

    Args:
        plain: as keras.applications builds it, without its top.
        backbone: its name in `STEMS`.
        stem_stride: by how much the first layers shrink the picture; 4 as published.
        attention: row of `ATTENTION`, put on the residual branch of every block; ResNet50 only.

    Raises:
        ConfigRefusal: the backbone cannot keep more cells.
    """
    changes = _with_names(stem_changes(backbone, stem_stride), plain)

    def copy(layer: Any) -> Any:
        return _copied(layer, changes)

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if attention and layer.name.endswith("_add"):
            (shortcut, branch), *_ = inputs
            inputs = ([shortcut, ATTENTION[attention](branch, layer.name.removesuffix("_add"))],)
        return _fully_normalised(layer, layer(*inputs, **options))

    body = keras.models.clone_model(plain, clone_function=copy, call_function=call)
    copy_weights(plain, body)
    return body


def stem_changes(backbone: str, stem_stride: int) -> Changes:
    """What of the backbone's layers changes for that stride.

    Raises:
        ConfigRefusal: the backbone cannot keep more cells.
    """
    if stem_stride == 4:
        return {}
    if backbone not in STEMS:
        raise ConfigRefusal(
            f"network.stem_stride is {stem_stride}; {backbone} keeps its strides: its reductions are woven together.",
            f"stem_stride 4, or one of {', '.join(STEMS)}",
            "leave stem_stride out and raise input_size instead.",
        )
    first, second = STEMS[backbone]
    return first if stem_stride == 2 else {**first, **second}


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give every layer of `target` the weights of the layer of that name in `source`, where there is one."""
    named = {layer.name: layer for layer in source.layers if layer.weights}
    for layer in target.layers:
        if layer.name in named:
            layer.set_weights(named[layer.name].get_weights())
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def standardise(plain: keras.Model) -> None:
    """Write ImageNet's statistics where a backbone keeps them as weights (EfficientNet), as its published files do.

    The published "variance" is the deviation: `_fully_normalised` divides by its square root once more.
    """
    for layer in plain.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            statistics = [np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)]
            layer.set_weights([*statistics, *layer.get_weights()[2:]])
            layer.finalize_state()


def _with_names(changes: Changes, plain: keras.Model) -> Changes:
    if FIRST_SHORTCUT not in changes:
        return changes
    name = next(layer.name for layer in plain.layers if re.fullmatch(r"conv2d(_\d+)?", layer.name))
    return {name: changes[FIRST_SHORTCUT], **changes}


def _copied(layer: Any, changes: Changes) -> Any:
    if not isinstance(layer, keras.layers.Layer):
        return layer  # a bare operation, such as ConvNeXt's sum: it has no state
    if isinstance(layer, keras.Sequential):
        parts = [_copied(one, changes) for one in layer.layers]
        return keras.Sequential(
            parts, name=layer.name
        )  # built when called, for maps of the side that then comes
    config = {**layer.get_config(), **changes.get(layer.name, {})}
    if isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)):
        config["dtype"] = "float32"  # pixels keep their 256 levels under any policy
    if type(layer) is not keras.layers.BatchNormalization:
        return type(layer).from_config(config)
    return BatchNormalization.from_config({**config, "momentum": min(layer.momentum, LARGEST_MOMENTUM)})


def _fully_normalised(layer: Any, outputs: Any) -> Any:
    """keras.applications divides by the root of the deviation a second time, but only when it loads the weights itself.

    See https://github.com/tensorflow/tensorflow/issues/49930. A body must not depend on where its weights came from.
    """
    if not (isinstance(layer, keras.layers.Normalization) and layer.weights):
        return outputs
    scale = [deviation**-0.5 for deviation in IMAGENET_DEVIATION]
    return keras.layers.Rescaling(scale, dtype="float32", name="normalise")(outputs)
