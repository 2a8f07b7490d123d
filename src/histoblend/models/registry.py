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
        normalisation: in words, what the one normalisation makes of pixel values 0-255.
        weights: ``imagenet`` where published weights can be its start, else ``from scratch``.
        invariant: whether its logit is the same for all eight dihedral views of a patch, so that one is enough.
        kind: ``keras`` for a network, ``features`` for an estimator on image statistics.
        fixed: what the row itself fixes, passed on to `build`.
    """

    build: str
    settings: type[declared.Parameters]
    description: str
    family: str
    input_size: int = 96
    normalisation: str = "-1..1"
    weights: Literal["imagenet", "from scratch"] = "from scratch"
    kind: Literal["keras", "features"] = "keras"
    invariant: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict)


# What the one normalisation of a backbone makes of pixel values, in words; models/backbones.py builds it.
SIGNED, STANDARD = "-1..1", "ImageNet mean 0, deviation 1"
CAFFE, CENTRED = "BGR, ImageNet mean 0", "(x - 128) / 128"


def _application(
    name: str, description: str, family: str, normalisation: str, input_size: int = 160, **fixed: str
) -> Network:
    """A row on a backbone of keras.applications; `fixed` may name another backbone than the row."""
    return Network(
        f"{MODELS}.backbones:on_application",
        declared.Backbone,
        description,
        family,
        input_size,
        normalisation,
        "imagenet",
        fixed={"backbone": name, **fixed},
    )


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
    "small_vit": Network(
        f"{MODELS}.small_vit:small_vit",
        declared.SmallVit,
        "vision transformer on patches of 8 pixels, centre-aware head, 1.2M parameters",
        "transformer",
    ),
    "two_stream": Network(
        f"{MODELS}.two_stream:two_stream",
        declared.TwoStream,
        "the labelled centre at full resolution beside the whole patch at half of it, .6M parameters",
        "two_stream",
    ),
    "d4_resnet": Network(
        f"{MODELS}.d4_resnet:d4_resnet",
        declared.D4Resnet,
        "residual blocks that turn with the patch (group D4): the logit is the same for all eight views",
        "dihedral",
        invariant=True,
    ),
    "d4_densenet": Network(
        f"{MODELS}.d4_densenet:d4_densenet",
        declared.D4Densenet,
        "P4M-DenseNet, .12M parameters: dense blocks of the group D4, for tens of thousands of patches",
        "dihedral",
        invariant=True,
    ),
    "densenet121": _application("densenet121", "DenseNet121, 7M parameters", "densenet", STANDARD, 192),
    "densenet169": _application("densenet169", "DenseNet169, 13M parameters", "densenet", STANDARD, 192),
    "efficientnet_b0": _application(
        "efficientnet_b0", "EfficientNetB0, 4M parameters", "efficientnet", STANDARD
    ),
    "efficientnet_b3": _application(
        "efficientnet_b3", "EfficientNetB3, 11M parameters", "efficientnet", STANDARD
    ),
    "efficientnetv2_b0": _application(
        "efficientnetv2_b0", "EfficientNetV2-B0, 6M parameters", "efficientnet", STANDARD
    ),
    "efficientnetv2_s": _application(
        "efficientnetv2_s", "EfficientNetV2-S, 20M parameters", "efficientnet", CENTRED
    ),
    "resnet50": _application("resnet50", "ResNet50, 24M parameters", "resnet", CAFFE),
    "resnet50v2": _application("resnet50v2", "ResNet50V2, 24M parameters", "resnet", SIGNED, 192),
    "se_resnet50": _application(
        "resnet50",
        "ResNet50 with channel attention in every block, 26M parameters",
        "resnet",
        CAFFE,
        attention="squeeze_excitation",
    ),
    "cbam_resnet50": _application(
        "resnet50",
        "ResNet50 with channel and spatial attention in every block, 26M parameters",
        "resnet",
        CAFFE,
        attention="cbam",
    ),
    "convnext_tiny": _application("convnext_tiny", "ConvNeXt-Tiny, 28M parameters", "convnext", STANDARD),
    "xception": _application("xception", "Xception, 21M parameters", "xception", SIGNED),
    "mobilenet_v2": _application("mobilenet_v2", "MobileNetV2, 2M parameters", "mobilenet", SIGNED),
    "mobilenet_v3_large": _application(
        "mobilenet_v3_large", "MobileNetV3-Large, 3M parameters", "mobilenet", SIGNED
    ),
    "vgg16": _application("vgg16", "VGG16, 15M parameters", "vgg", CAFFE),
    "nasnet_mobile": _application("nasnet_mobile", "NASNetMobile, 4M parameters", "nasnet", SIGNED),
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
