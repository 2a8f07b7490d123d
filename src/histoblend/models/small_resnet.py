"""A small residual network, its first block at full resolution (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

from typing import Any

import keras

from histoblend.models import heads, layers
from histoblend.models.attention_blocks import squeeze_excitation
from histoblend.models.parameters import SmallResnet
from histoblend.models.problem import Problem


def small_resnet(problem: Problem, settings: SmallResnet) -> keras.Model:
    """uint8 (n, side, side, 3) -> logits (n, outputs); stage i holds blocks[i] residual blocks of widths[i].

    Between stages the map is max-pooled, not strided: pooling windows stay aligned under flips and quarter
    turns.
    """
    patch = layers.patch_input(problem)
    features = layers.chained(patch, [*layers.entrance(problem, settings.crop), layers.unit_range()])
    features = layers.convolution(features, settings.widths[0], settings.normalisation, settings.activation)
    for stage, (width, blocks) in enumerate(zip(settings.widths, settings.blocks, strict=True)):
        if stage:
            features = keras.layers.MaxPooling2D(2)(features)
        for block in range(blocks):
            features = _residual_block(features, width, settings, f"stage{stage}_block{block}")
    return keras.Model(patch, heads.logit(features, problem, settings), name="small_resnet")


def _residual_block(features: Any, width: int, settings: SmallResnet, name: str) -> Any:
    branch = layers.convolution(features, width, settings.normalisation, settings.activation)
    branch = layers.convolution(branch, width, settings.normalisation, None)
    if settings.attention:
        branch = squeeze_excitation(branch, name, ratio=8)
    if features.shape[-1] != width:
        features = layers.convolution(features, width, settings.normalisation, None, kernel=1)
    return keras.layers.Activation(settings.activation)(keras.layers.Add()([features, branch]))
