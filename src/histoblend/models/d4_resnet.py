"""A residual network of the group D4: it cannot learn an orientation (Cohen and Welling 2016, arXiv:1602.07576)."""

from __future__ import annotations

from typing import Any

import keras

from histoblend.models import dihedral_blocks, heads
from histoblend.models.dihedral_blocks import group_convolution, normalised
from histoblend.models.parameters import D4Resnet
from histoblend.models.problem import Problem


def d4_resnet(problem: Problem, settings: D4Resnet) -> keras.Model:
    """uint8 (n, side, side, 3) -> logits (n, outputs), the same for all eight views of a patch.

    Stage i holds blocks[i] residual blocks of 8 * fields[i] channels, laid out as `small_resnet`'s. Parameters are an
    eighth of those of an ordinary network of as many channels, multiply-accumulates the same: so the default halves
    the map in its first convolution and spends what that saves on fields. In bfloat16 the logit keeps to about a
    hundredth of its size under the eight views, in float32 to a ten-thousandth.

    Raises:
        ConfigRefusal: a map between the stages cannot be halved.
    """
    patch, features = dihedral_blocks.lifted(problem, settings, settings.fields[0])
    features = normalised(features, settings)
    for stage, (fields, blocks) in enumerate(zip(settings.fields, settings.blocks, strict=True)):
        if stage:
            features = dihedral_blocks.halved(features, "max", f"pool_{stage}")
        for _ in range(blocks):
            features = _residual_block(features, fields, settings)
    features = dihedral_blocks.over_orientations(features, settings)
    return keras.Model(patch, heads.logit(features, problem, settings), name="d4_resnet")


def _residual_block(features: Any, fields: int, settings: D4Resnet) -> Any:
    branch = normalised(group_convolution(features, fields, settings), settings)
    branch = normalised(group_convolution(branch, fields, settings), settings, activate=False)
    if features.shape[-1] != branch.shape[-1]:
        shortcut = group_convolution(features, fields, settings, kernel=1)
        features = normalised(shortcut, settings, activate=False)
    return keras.layers.Activation(settings.activation)(keras.layers.Add()([features, branch]))
