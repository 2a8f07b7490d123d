"""How a feature map becomes one vector: a table of heads, some of which know where the label lives.

Vectors are float32 under any precision: a mean taken in bfloat16 loses what thousands of cells agree on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from histoblend.models.parameters import Backbone, FromScratch
from histoblend.models.problem import Field, Problem

HasHead = FromScratch | Backbone


def centre_cells(cells: int, field: Field) -> tuple[int, int]:
    """First and one-past-last cell, on one axis, of those that cover the labelled centre.

    Args:
        cells: side of the feature map.
        field: the source square the map covers.
    """
    margin = max(field.side - field.labelled, 0)
    first = margin * cells // (2 * field.side)
    return first, cells - first


def crop_to_centre(features: Any, field: Field) -> Any:
    """(n, h, w, c) -> the cells over the labelled centre, (n, h', w', c)."""
    trims = []
    for cells in features.shape[1:3]:
        first, last = centre_cells(cells, field)
        trims.append((first, cells - last))
    return keras.layers.Cropping2D(tuple(trims), name="centre_cells")(features)


def flatten(features: Any, field: Field) -> Any:
    """Every cell of the map, in order: (n, h * w * c)."""
    return keras.layers.Flatten(name="flatten")(features)


def pooled(features: Any, field: Field) -> Any:
    """Mean of the whole map: (n, c)."""
    return keras.layers.GlobalAveragePooling2D(dtype="float32", name="whole_mean")(features)


def centre(features: Any, field: Field) -> Any:
    """Mean of the whole map beside the mean of the labelled centre: (n, 2c)."""
    inner = crop_to_centre(features, field)
    inner = keras.layers.GlobalAveragePooling2D(dtype="float32", name="centre_mean")(inner)
    return keras.layers.Concatenate(dtype="float32", name="whole_and_centre")(
        [pooled(features, field), inner]
    )


def centre_maximum(features: Any, field: Field) -> Any:
    """As `centre`, with the maximum over the labelled centre as well: one tumour cell decides. (n, 3c)."""
    inner = crop_to_centre(features, field)
    parts = [
        pooled(features, field),
        keras.layers.GlobalAveragePooling2D(dtype="float32", name="centre_mean")(inner),
        keras.layers.GlobalMaxPooling2D(dtype="float32", name="centre_maximum")(inner),
    ]
    return keras.layers.Concatenate(dtype="float32", name="whole_and_centre")(parts)


HEADS: dict[str, Callable[[Any, Field], Any]] = {
    "flatten": flatten,
    "gap": pooled,
    "centre": centre,
    "centre_max": centre_maximum,
}


def logit(features: Any, problem: Problem, settings: HasHead) -> Any:
    """Feature map (n, h, w, c) -> float32 logits (n, outputs) through the head that `settings` name."""
    vector = HEADS[settings.head](features, problem.field(settings.crop))
    dropout = settings.dropout
    if dropout:
        vector = keras.layers.Dropout(dropout, dtype="float32", name="dropout")(vector)
    return keras.layers.Dense(problem.outputs, dtype="float32", name="logit")(vector)
