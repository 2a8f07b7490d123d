"""Networks that stand on a backbone of keras.applications, each with the input range it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from histoblend.errors import ConfigRefusal
from histoblend.models import heads, layers
from histoblend.models.parameters import Backbone
from histoblend.models.problem import Problem
from histoblend.models.weights import DOWNLOAD, attached_folders, keras_home, load_weights, resolve_weights

APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    "densenet121": keras.applications.DenseNet121,
    "efficientnet_b0": keras.applications.EfficientNetB0,
    "efficientnetv2_b0": keras.applications.EfficientNetV2B0,
    "resnet50v2": keras.applications.ResNet50V2,
    "resnet50": keras.applications.ResNet50,
    "convnext_tiny": keras.applications.ConvNeXtTiny,
    "xception": keras.applications.Xception,
    "mobilenet_v2": keras.applications.MobileNetV2,
    "mobilenet_v3_large": keras.applications.MobileNetV3Large,
    "vgg16": keras.applications.VGG16,
    "nasnet_mobile": keras.applications.NASNetMobile,
}


@keras.saving.register_keras_serializable(package="histoblend")
class ReversedChannels(keras.layers.Layer):
    """RGB -> BGR, as the networks trained in Caffe expect."""

    def call(self, inputs: Any) -> Any:
        return inputs[..., ::-1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _signed_unit() -> list[keras.layers.Layer]:
    return [layers.unit_range()]


def _imagenet_standard() -> list[keras.layers.Layer]:
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scale = [1.0 / (255.0 * d) for d in deviation]
    offset = [-m / d for m, d in zip(mean, deviation, strict=True)]
    return [keras.layers.Rescaling(scale, offset, dtype="float32", name="normalise")]


def _caffe() -> list[keras.layers.Layer]:
    offset = [-103.939, -116.779, -123.68]
    reverse = ReversedChannels(dtype="float32", name="bgr")
    return [reverse, keras.layers.Rescaling(1.0, offset, dtype="float32", name="normalise")]


def _inside() -> list[keras.layers.Layer]:
    """EfficientNet, ConvNeXt and MobileNetV3 normalise in their own first layers: they are fed 0-255."""
    return []


NORMALISE: dict[str, Callable[[], list[keras.layers.Layer]]] = {
    "densenet121": _imagenet_standard,
    "efficientnet_b0": _inside,
    "efficientnetv2_b0": _inside,
    "resnet50v2": _signed_unit,
    "resnet50": _caffe,
    "convnext_tiny": _inside,
    "xception": _signed_unit,
    "mobilenet_v2": _signed_unit,
    "mobilenet_v3_large": _inside,
    "vgg16": _caffe,
    "nasnet_mobile": _signed_unit,
}


def on_application(problem: Problem, settings: Backbone, *, backbone: str) -> keras.Model:
    """uint8 (n, side, side, 3) -> resized, normalised once -> backbone -> head -> logits (n, outputs).

    Raises:
        ConfigRefusal: the input is too small for the backbone.
        MachineRefusal: pretrained weights are not to be found.
    """
    patch = layers.patch_input(problem)
    stack = [*layers.entrance(problem, settings.crop), *NORMALISE[backbone]()]
    body = _body(backbone, settings.weights, problem.input_size)
    features = body(layers.chained(patch, stack))
    return keras.Model(patch, heads.logit(features, problem, settings), name=backbone)


def _body(backbone: str, weights: str, input_size: int) -> keras.Model:
    found = resolve_weights(backbone, weights, attached_folders(), keras_home(), input_size=input_size)
    source = "imagenet" if found == DOWNLOAD else None
    try:
        body = APPLICATIONS[backbone](
            include_top=False, weights=source, input_shape=(input_size, input_size, 3)
        )
    except ValueError as error:
        raise ConfigRefusal(
            f"{backbone} does not take an input of {input_size} pixels: {error}",
            "a larger input_size",
            "set input_size: 96 or more in the experiment.",
        ) from error
    if isinstance(found, Path):
        load_weights(body, found)
    return body
