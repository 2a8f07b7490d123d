"""Two streams of plain convolutions: the labelled centre at full resolution beside the whole patch, coarser.

The label lives in the centre, the context around it; each stream has weights of its own, as their tasks differ.
"""

from __future__ import annotations

from typing import Any

import keras

from histoblend.errors import ConfigRefusal
from histoblend.models import heads, layers
from histoblend.models.parameters import TwoStream
from histoblend.models.problem import Field, Problem


def two_stream(problem: Problem, settings: TwoStream) -> keras.Model:
    """uint8 (n, side, side, 3) -> logits (n, outputs); the streams' vectors are joined before the logit.

    The centre's stream sees the pixels of the packed patch, whatever `input_size` and `crop` do to the other one.

    Raises:
        ConfigRefusal: a stream's map is too small for its stages.
    """
    patch = layers.patch_input(problem)
    to_pixels, *to_whole = layers.entrance(problem, settings.crop)
    pixels = layers.chained(patch, [to_pixels, layers.unit_range()])
    whole = layers.chained(pixels, to_whole)
    if settings.shrink > 1:
        # Averages of aligned squares: coarser, yet equal under flips and quarter turns.
        whole = keras.layers.AveragePooling2D(settings.shrink, dtype="float32", name="shrink")(whole)
    context = _stages(whole, settings, settings.widths, settings.depths)
    centre_side = problem.side // 3
    centre_side += (problem.side - centre_side) % 2  # in the middle of the pixel grid
    centre = keras.layers.CenterCrop(centre_side, centre_side, dtype="float32", name="centre_pixels")(pixels)
    detail = _stages(centre, settings, settings.centre_widths, settings.centre_depths)
    vectors = [
        heads.HEADS[settings.head](context, problem.field(settings.crop)),
        heads.HEADS[settings.centre_head](detail, Field(centre_side, problem.side // 3), "centre_"),
    ]
    joined = keras.layers.Concatenate(dtype=heads.precision(), name="both_streams")(vectors)
    return keras.Model(patch, heads.vector_logit(joined, problem, settings.dropout), name="two_stream")


def _stages(features: Any, settings: TwoStream, widths: tuple[int, ...], depths: tuple[int, ...]) -> Any:
    """Stages of convolutions, max pooling between them."""
    if features.shape[1] >> (len(widths) - 1) < 1:
        raise ConfigRefusal(
            f"A stream of two_stream sees {features.shape[1]} pixels, too few for {len(widths)} stages.",
            "a map that can be halved between the stages",
            "take fewer widths and depths, or a larger patch.",
        )
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if stage:
            features = keras.layers.MaxPooling2D(2)(features)
        for _ in range(depth):
            features = layers.convolution(features, width, settings.normalisation, settings.activation)
    return features
