"""Plain 3x3 convolutions at full resolution (after Simonyan and Zisserman 2015, arXiv:1409.1556)."""

from __future__ import annotations

import keras

from histoblend.models import heads, layers
from histoblend.models.parameters import SmallVgg
from histoblend.models.problem import Problem


def small_vgg(problem: Problem, settings: SmallVgg) -> keras.Model:
    """uint8 (n, side, side, 3) -> logits (n, outputs); max pooling between the stages.

    The first stage sees every pixel of the (cropped) patch: detail lost there does not come back.
    """
    patch = layers.patch_input(problem)
    features = layers.chained(patch, [*layers.entrance(problem, settings.crop), layers.unit_range()])
    for stage, (width, depth) in enumerate(zip(settings.widths, settings.depths, strict=True)):
        if stage:
            features = keras.layers.MaxPooling2D(2)(features)
        for _ in range(depth):
            features = layers.convolution(features, width, settings.normalisation, settings.activation)
    return keras.Model(patch, heads.logit(features, problem, settings), name="small_vgg")
