"""Plain 3x3 convolutions at full resolution (after Simonyan and Zisserman 2015, arXiv:1409.1556)."""

from __future__ import annotations

import keras

from histoblend.models import heads, layers
from histoblend.models.parameters import SmallVgg


def small_vgg(input_size: int, settings: SmallVgg) -> keras.Model:
    """uint8 (n, 96, 96, 3) -> logit (n, 1); max pooling between the stages.

    The first stage sees every pixel of the (cropped) patch: detail lost there does not come back.
    """
    patch = layers.patch_input()
    features = layers.chained(patch, [*layers.entrance(input_size, settings.crop), layers.unit_range()])
    for stage, (width, depth) in enumerate(zip(settings.widths, settings.depths, strict=True)):
        if stage:
            features = keras.layers.MaxPooling2D(2)(features)
        for _ in range(depth):
            features = layers.convolution(features, width, settings.normalisation, settings.activation)
    field = settings.crop or layers.SOURCE_SIZE
    output = heads.logit(features, head=settings.head, field=field, dropout=settings.dropout)
    return keras.Model(patch, output, name="small_vgg")
