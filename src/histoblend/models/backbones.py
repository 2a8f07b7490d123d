"""Networks that stand on a backbone of keras.applications, each with the input range it was trained on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.models import heads, layers
from histoblend.models.backbones_rebuilt import IMAGENET_DEVIATION, IMAGENET_MEAN, rebuilt, standardise
from histoblend.models.parameters import Backbone
from histoblend.models.problem import Problem
from histoblend.models.weights import (
    DOWNLOAD,
    SERVER,
    attached_folders,
    keras_home,
    load_weights,
    resolve_weights,
    weights_file_name,
)


def _without_preprocessing(application: Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Leaves out what an application would do to its pixels: all normalise in one place, in float32."""
    return functools.partial(application, include_preprocessing=False)


APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    "densenet121": keras.applications.DenseNet121,
    "densenet169": keras.applications.DenseNet169,
    "efficientnet_b0": keras.applications.EfficientNetB0,
    "efficientnet_b3": keras.applications.EfficientNetB3,
    "efficientnetv2_b0": _without_preprocessing(keras.applications.EfficientNetV2B0),
    "efficientnetv2_s": _without_preprocessing(keras.applications.EfficientNetV2S),
    "resnet50": keras.applications.ResNet50,
    "resnet50v2": keras.applications.ResNet50V2,
    "convnext_tiny": _without_preprocessing(keras.applications.ConvNeXtTiny),
    "xception": keras.applications.Xception,
    "mobilenet_v2": keras.applications.MobileNetV2,
    "mobilenet_v3_large": _without_preprocessing(keras.applications.MobileNetV3Large),
    "vgg16": keras.applications.VGG16,
    "nasnet_mobile": keras.applications.NASNetMobile,
}


@keras.saving.register_keras_serializable(package="histoblend")
class ReversedChannels(keras.layers.Layer):
    """RGB -> BGR, as the networks trained in Caffe expect."""

    reach = "cell"

    def call(self, inputs: Any) -> Any:
        return inputs[..., ::-1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _signed_unit() -> list[keras.layers.Layer]:
    return [layers.unit_range()]


def _centred() -> list[keras.layers.Layer]:
    return [keras.layers.Rescaling(1.0 / 128.0, offset=-1.0, dtype="float32", name="normalise")]


def _imagenet_standard() -> list[keras.layers.Layer]:
    scale = [1.0 / (255.0 * deviation) for deviation in IMAGENET_DEVIATION]
    offset = [-m / d for m, d in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)]
    return [keras.layers.Rescaling(scale, offset, dtype="float32", name="normalise")]


def _caffe() -> list[keras.layers.Layer]:
    offset = [-103.939, -116.779, -123.68]
    reverse = ReversedChannels(dtype="float32", name="bgr")
    return [reverse, keras.layers.Rescaling(1.0, offset, dtype="float32", name="normalise")]


def _inside() -> list[keras.layers.Layer]:
    """EfficientNet keeps its statistics among its weights: it is fed 0-255."""
    return []


NORMALISE: dict[str, Callable[[], list[keras.layers.Layer]]] = {
    "densenet121": _imagenet_standard,
    "densenet169": _imagenet_standard,
    "efficientnet_b0": _inside,
    "efficientnet_b3": _inside,
    "efficientnetv2_b0": _imagenet_standard,
    "efficientnetv2_s": _centred,
    "resnet50": _caffe,
    "resnet50v2": _signed_unit,
    "convnext_tiny": _imagenet_standard,
    "xception": _signed_unit,
    "mobilenet_v2": _signed_unit,
    "mobilenet_v3_large": _signed_unit,
    "vgg16": _caffe,
    "nasnet_mobile": _signed_unit,
}


def on_application(
    problem: Problem, settings: Backbone, *, backbone: str, attention: str = ""
) -> keras.Model:
    """uint8 (n, side, side, 3) -> resized, normalised once -> backbone -> head -> logits (n, outputs).

    Raises:
        ConfigRefusal: the input is too small for the backbone, or it cannot keep more cells.
        MachineRefusal: pretrained weights are not to be found, or their file is not what its name says.
    """
    patch = layers.patch_input(problem)
    stack = [*layers.entrance(problem, settings.crop), *NORMALISE[backbone]()]
    plain = plain_backbone(backbone, settings.weights, problem.input_size)
    body = rebuilt(plain, backbone, stem_stride=settings.stem_stride, attention=attention)
    features = body(layers.chained(patch, stack))
    name = f"{backbone}_{attention}" if attention else backbone
    return keras.Model(patch, heads.logit(features, problem, settings), name=name)


def plain_backbone(backbone: str, weights: str, input_size: int) -> keras.Model:
    """The backbone as keras.applications builds it, without its top, with the weights that `weights` names.

    Raises:
        ConfigRefusal: the input is too small for the backbone.
        MachineRefusal: pretrained weights are not to be found, or their file is not what its name says.
    """
    found = resolve_weights(backbone, weights, attached_folders(), keras_home(), input_size=input_size)
    body = _random(backbone, input_size)
    if isinstance(found, Path):
        load_weights(body, found)
    elif found == DOWNLOAD:
        body.set_weights(fetch_weights(backbone, input_size))
    else:
        standardise(body)
    return body


def fetch_weights(backbone: str, input_size: int) -> list[np.ndarray]:
    """Weights that keras.applications fetches and checks against its hash.

    Raises:
        MachineRefusal: the fetch failed, or brought another file.
    """
    # NASNet refuses any other side than its own when it downloads; kernels do not depend on it.
    side = 224 if backbone == "nasnet_mobile" else input_size
    try:
        fetched = APPLICATIONS[backbone](include_top=False, weights="imagenet", input_shape=(side, side, 3))
    except Exception as error:  # Keras raises a bare one where a fetch fails
        name = weights_file_name(backbone, side)
        raise MachineRefusal(
            f"{name} could not be fetched from {SERVER[0]}: {error}",
            f"the weights of {backbone} without its top",
            f"try again (a part of it may lie in {keras_home() / 'models'}: delete it), or attach a dataset that "
            "holds the file.",
        ) from error
    return list(fetched.get_weights())


def _random(backbone: str, input_size: int) -> keras.Model:
    try:
        return APPLICATIONS[backbone](
            include_top=False, weights=None, input_shape=(input_size, input_size, 3)
        )
    except ValueError as error:
        raise ConfigRefusal(
            f"{backbone} does not take an input of {input_size} pixels: {error}",
            "a larger input_size",
            "set input_size: 96 or more in the experiment.",
        ) from error
