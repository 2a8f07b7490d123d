"""Logits of many patches under several views: the one path for out-of-fold and test patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from histoblend.data.views import apply_view

if TYPE_CHECKING:
    import keras
from histoblend.errors import ConfigRefusal

Logits = Callable[[np.ndarray], np.ndarray]
"""uint8 images (n, h, w, 3) in, float64 logits (n,) out."""


def network_logits(model: keras.Model) -> Logits:
    """The logits of a network's batch, in inference mode."""

    def logits(images: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(images), np.float64)[:, 0]

    return logits


def view_logits(
    logits: Logits, images: np.ndarray, rows: np.ndarray, views: Sequence[int], batch_size: int
) -> np.ndarray:
    """Logits of `rows` of `images` under each view.

    The last batch is as short as it is: nothing is padded, nothing dropped.

    Returns:
        float64 array of shape (len(rows), len(views)).

    Raises:
        ConfigRefusal: a logit is not finite.
    """
    result = np.empty((len(rows), len(views)), np.float64)
    for start in range(0, len(rows), batch_size):
        chosen = slice(start, start + batch_size)
        patches = np.asarray(images[rows[chosen]])
        for column, view in enumerate(views):
            result[chosen, column] = logits(apply_view(patches, view))
    if not np.isfinite(result).all():
        raise ConfigRefusal(
            "The training diverged: the network's logits are no finite numbers.",
            "finite logits",
            "lower optimizer.learning_rate, set optimizer.clip_norm to 1, or set precision to float32.",
        )
    return result


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities in float64, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))
