"""What the dihedral networks are put together from: entrance, convolution with normalisation, pooling."""

from __future__ import annotations

from typing import Any, Literal

import keras

from histoblend.errors import ConfigRefusal
from histoblend.models import layers
from histoblend.models.dihedral_layers import (
    GroupConvolution,
    GroupPooling,
    LiftingConvolution,
    TiedBatchNormalization,
    require_aligned,
)
from histoblend.models.parameters import Dihedral
from histoblend.models.problem import Problem

HALVED_STEM = 6  # cells: an even window every two cells stays aligned, an odd one does not
POOLINGS = {"max": keras.layers.MaxPooling2D, "mean": keras.layers.AveragePooling2D}


def lifted(problem: Problem, settings: Dihedral, fields: int) -> tuple[Any, Any]:
    """The network's input, and the first map of the group: 8 * fields channels, not yet normalised.

    Raises:
        ConfigRefusal: the centre crop is not in the middle, or the stem's windows are not aligned.
    """
    if settings.crop is not None and (problem.side - settings.crop) % 2:
        raise ConfigRefusal(
            f"network.crop is {settings.crop}; the middle of patches of {problem.side} pixels lies between its cells.",
            "a crop that leaves as many pixels on either side",
            "leave network.crop out: these networks must turn around the middle of the patch.",
        )
    patch = layers.patch_input(problem)
    features = layers.chained(patch, [*layers.entrance(problem, settings.crop), layers.unit_range()])
    size, stride = (3, 1) if settings.stem == "full" else (HALVED_STEM, 2)
    return patch, LiftingConvolution(fields, size, stride, settings.normalisation == "none", name="lift")(
        features
    )


def normalised(features: Any, settings: Dihedral, *, activate: bool = True) -> Any:
    """Normalise a map of the group, where the settings want it, and activate it."""
    if settings.normalisation == "batch":
        features = TiedBatchNormalization(momentum=0.9)(features)  # momentum as everywhere else here
    return keras.layers.Activation(settings.activation)(features) if activate else features


def group_convolution(features: Any, fields: int, settings: Dihedral, *, kernel: int = 3) -> Any:
    """Group convolution of a map or of several together; without a bias where a normalisation shifts anyway."""
    return GroupConvolution(fields, kernel, use_bias=settings.normalisation == "none")(features)


def halved(features: Any, method: Literal["max", "mean"], name: str) -> Any:
    """Pool 2x2 cells into one.

    Raises:
        ConfigRefusal: the map has an odd side, so that the windows would not be aligned.
    """
    require_aligned(name, features.shape[1], 2, 2)
    return POOLINGS[method](2, name=name)(features)


def over_orientations(features: Any, settings: Dihedral, name: str = "orientations") -> Any:
    """From a map of the group to an ordinary one that turns with the patch."""
    return GroupPooling(settings.orientations, name=name)(features)
