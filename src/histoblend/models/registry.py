"""The one table of networks. It holds names, not functions: checking a config never imports Keras."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from histoblend.errors import ConfigRefusal, nearest
from histoblend.models import parameters as declared
from histoblend.models.problem import Problem

if TYPE_CHECKING:
    import keras

MODELS = "histoblend.models"


@dataclass(frozen=True)
class Network:
    """One row: where the network is built, what it is, which parameters it takes.

    Attributes:
        build: ``module:function``; takes ``(problem, settings, **fixed)`` and returns a model.
        settings: the declared parameters, with their defaults.
        description: one line for the user.
        family: networks of one family make similar errors; a blend wants several.
        input_size: side in pixels at which the network is usually fed.
        kind: ``keras`` for a network, ``features`` for an estimator on image statistics.
        fixed: what the row itself fixes, passed on to `build`.
    """

    build: str
    settings: type[declared.Parameters]
    description: str
    family: str
    input_size: int = 96
    kind: Literal["keras", "features"] = "keras"
    fixed: Mapping[str, str] = field(default_factory=dict)


def _application(name: str, description: str, family: str, input_size: int = 160) -> Network:
    build = f"{MODELS}.backbones:on_application"
    return Network(build, declared.Backbone, description, family, input_size, fixed={"backbone": name})


NETWORKS: dict[str, Network] = {
    "course_cnn": Network(
        f"{MODELS}.course_cnn:course_cnn",
        declared.CourseCnn,
        "Keras Sequential of the course: convolutions, max pooling, flatten, dense, sigmoid",
        "plain",
    ),
    "small_vgg": Network(
        f"{MODELS}.small_vgg:small_vgg",
        declared.SmallVgg,
        "plain 3x3 convolutions at full resolution, .3M parameters; first choice for a few thousand patches",
        "vgg",
    ),
    "small_resnet": Network(
        f"{MODELS}.small_resnet:small_resnet",
        declared.SmallResnet,
        "residual blocks at full resolution, centre-aware head, .3M parameters",
        "resnet",
    ),
    "densenet121": _application("densenet121", "DenseNet121, 7M parameters", "densenet"),
    "efficientnet_b0": _application("efficientnet_b0", "EfficientNetB0, 4M parameters", "efficientnet"),
    "efficientnetv2_b0": _application(
        "efficientnetv2_b0", "EfficientNetV2-B0, 6M parameters", "efficientnet"
    ),
    "resnet50v2": _application("resnet50v2", "ResNet50V2, 24M parameters", "resnet"),
    "resnet50": _application("resnet50", "ResNet50, 24M parameters", "resnet"),
    "convnext_tiny": _application("convnext_tiny", "ConvNeXt-Tiny, 28M parameters", "convnext"),
    "xception": _application("xception", "Xception, 21M parameters", "xception"),
    "mobilenet_v2": _application("mobilenet_v2", "MobileNetV2, 2M parameters", "mobilenet"),
    "mobilenet_v3_large": _application("mobilenet_v3_large", "MobileNetV3-Large, 3M parameters", "mobilenet"),
    "vgg16": _application("vgg16", "VGG16, 15M parameters", "vgg"),
    "nasnet_mobile": _application("nasnet_mobile", "NASNetMobile, 4M parameters", "nasnet"),
    "texture_hgb": Network(
        f"{MODELS}.texture_hgb:fit_texture_hgb",
        declared.TextureHgb,
        "yardstick without a network: gradient boosting on colour, stain and texture statistics",
        "features",
        kind="features",
    ),
}


def find_network(name: str) -> Network:
    """The row of that name.

    Raises:
        ConfigRefusal: there is none; names the nearest.
    """
    if name not in NETWORKS:
        raise ConfigRefusal(
            f"There is no network {name!r}. {nearest(name, list(NETWORKS))}",
            f"one of {', '.join(NETWORKS)}",
            "correct network.name in the experiment.",
        )
    return NETWORKS[name]


def check_network(name: str, parameters: Mapping[str, Any]) -> declared.Parameters:
    """Check a network's name and parameters without importing Keras; returns them with their defaults.

    Raises:
        ConfigRefusal: unknown network, unknown parameter (names the nearest), or a value out of range.
    """
    settings = find_network(name).settings
    try:
        return settings.model_validate(dict(parameters))
    except ValidationError as error:
        problems = "; ".join(_explained(settings, dict(problem)) for problem in error.errors())
        raise ConfigRefusal(
            f"Network {name}: {problems}",
            f"parameters of {name}: {', '.join(settings.model_fields) or 'none'}",
            "correct the experiment's network block.",
        ) from error


def build_network(
    name: str, parameters: Mapping[str, Any], problem: Problem, *, pretrained: bool = True
) -> keras.Model:
    """Build a network: uint8 RGB (n, side, side, 3) -> logits or probabilities (n, outputs), float32.

    Weights are drawn from the global Keras seed (``keras.utils.set_random_seed``), set by the caller.

    Args:
        name: row of the table.
        parameters: what the experiment says beside the name.
        problem: side of the patch, side at which the layers see it, number of classes.
        pretrained: False leaves out pretrained weights, for a model whose trained weights are loaded next.

    Raises:
        ConfigRefusal: see `check_network`; also where the row is no Keras network.
        MachineRefusal: pretrained weights are not to be found.
    """
    row, settings = find_network(name), check_network(name, parameters)
    if row.kind != "keras":
        raise ConfigRefusal(f"{name} is no Keras network.", "a row of kind keras", "")
    if not pretrained and isinstance(settings, declared.Backbone):
        settings = settings.model_copy(update={"weights": "none"})
    module, function = row.build.split(":")
    model: keras.Model = getattr(importlib.import_module(module), function)(problem, settings, **row.fixed)
    return model


def _explained(settings: type[declared.Parameters], problem: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown parameter {key!r}. {nearest(key, list(settings.model_fields))}"
    return f"{key or 'parameters'} = {problem['input']!r}: {problem['msg']}"
