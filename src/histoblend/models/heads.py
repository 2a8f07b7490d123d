"""How a feature map becomes one vector: a table of heads, some of which know where the label lives.

Vectors are float32 under any precision (float64 where all is): a mean taken in bfloat16 loses what thousands of cells
agree on. All heads but `flatten` give the same vector for a map and for its eight turned and mirrored copies. A network
with several heads names their layers apart by a prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from histoblend.models.parameters import Backbone, FromScratch, SmallVit
from histoblend.models.pooling import CentreAttention, GeneralisedMean
from histoblend.models.problem import Field, Problem

HasHead = FromScratch | Backbone | SmallVit
# How names of layers with weights end that are made here.
WITH_WEIGHTS = ("scores", "centre_attention", "generalised_mean", "logit")


def is_of_head(layer: keras.layers.Layer) -> bool:
    """Whether a layer with weights was made here, to tell what a network starts with from what it ends with."""
    return layer.name.endswith(WITH_WEIGHTS)


def precision() -> str:
    """In which dtype heads and logits compute: float32, or float64 where that is the policy (for proofs)."""
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"


def centre_cells(cells: int, field: Field) -> tuple[int, int]:
    """First and one-past-last cell, on one axis, of those that cover the labelled centre.

    Args:
        cells: side of the feature map.
        field: the source square the map covers.
    """
    margin = max(field.side - field.labelled, 0)
    first = margin * cells // (2 * field.side)
    return first, cells - first


def crop_to_centre(features: Any, field: Field, prefix: str = "") -> Any:
    """(n, h, w, c) -> the cells over the labelled centre, (n, h', w', c)."""
    trims = []
    for cells in features.shape[1:3]:
        first, last = centre_cells(cells, field)
        trims.append((first, cells - last))
    return keras.layers.Cropping2D(tuple(trims), name=f"{prefix}centre_cells")(features)


def flatten(features: Any, field: Field, prefix: str = "") -> Any:
    """Every cell of the map, in order: (n, h * w * c)."""
    return keras.layers.Flatten(dtype=precision(), name=f"{prefix}flatten")(features)


def pooled(features: Any, field: Field, prefix: str = "") -> Any:
    """Mean of the whole map: (n, c)."""
    return _mean(features, f"{prefix}whole_mean")


def mean_and_maximum(features: Any, field: Field, prefix: str = "") -> Any:
    """Mean of the whole map beside its maximum: (n, 2c)."""
    parts = [_mean(features, f"{prefix}whole_mean"), _maximum(features, f"{prefix}whole_maximum")]
    return _beside(parts, f"{prefix}mean_and_maximum")


def generalised_mean(features: Any, field: Field, prefix: str = "") -> Any:
    """Generalised mean of the whole map with a learned exponent: (n, c); see `pooling.GeneralisedMean`.

    Negative values count as zero, so what an activation such as `gelu`, or a normalisation at the end, leaves below
    zero is lost to it.
    """
    return GeneralisedMean(dtype=precision(), name=f"{prefix}generalised_mean")(features)


def centre(features: Any, field: Field, prefix: str = "") -> Any:
    """Mean of the whole map beside the mean of the labelled centre: (n, 2c)."""
    inner = crop_to_centre(features, field, prefix)
    parts = [_mean(features, f"{prefix}whole_mean"), _mean(inner, f"{prefix}centre_mean")]
    return _beside(parts, f"{prefix}whole_and_centre")


def centre_maximum(features: Any, field: Field, prefix: str = "") -> Any:
    """As `centre`, with the maximum over the labelled centre as well: one tumour cell decides. (n, 3c)."""
    inner = crop_to_centre(features, field, prefix)
    parts = [
        _mean(features, f"{prefix}whole_mean"),
        _mean(inner, f"{prefix}centre_mean"),
        _maximum(inner, f"{prefix}centre_maximum"),
    ]
    return _beside(parts, f"{prefix}whole_and_centre")


def centre_attention(features: Any, field: Field, prefix: str = "") -> Any:
    """Mean weighed by learned scores, with a prior for the labelled centre: (n, c); see `pooling.CentreAttention`.

    The scores are a 1x1 convolution of the map that starts at zero, so at first only the prior speaks.
    """
    scores = keras.layers.Conv2D(
        1, 1, use_bias=False, kernel_initializer="zeros", dtype=precision(), name=f"{prefix}scores"
    )(features)
    share = min(field.labelled / field.side, 1.0)
    attention = CentreAttention(share, dtype=precision(), name=f"{prefix}centre_attention")
    return attention([features, scores])


def _mean(features: Any, name: str) -> Any:
    return keras.layers.GlobalAveragePooling2D(dtype=precision(), name=name)(features)


def _maximum(features: Any, name: str) -> Any:
    return keras.layers.GlobalMaxPooling2D(dtype=precision(), name=name)(features)


def _beside(vectors: list[Any], name: str) -> Any:
    return keras.layers.Concatenate(dtype=precision(), name=name)(vectors)


HEADS: dict[str, Callable[..., Any]] = {
    "flatten": flatten,
    "gap": pooled,
    "gap+gmp": mean_and_maximum,
    "gem": generalised_mean,
    "centre": centre,
    "centre_max": centre_maximum,
    "centre_attention": centre_attention,
}


def logit(features: Any, problem: Problem, settings: HasHead) -> Any:
    """Feature map (n, h, w, c) -> float32 logits (n, outputs) through the head that `settings` name."""
    vector = HEADS[settings.head](features, problem.field(settings.crop))
    return vector_logit(vector, problem, settings.dropout)


def vector_logit(vector: Any, problem: Problem, dropout: float) -> Any:
    """Vector (n, c) -> logits (n, outputs): dropout, if any, and the last dense layer, named ``logit``."""
    if dropout:
        vector = keras.layers.Dropout(dropout, dtype=precision(), name="dropout")(vector)
    return keras.layers.Dense(problem.outputs, dtype=precision(), name="logit")(vector)
