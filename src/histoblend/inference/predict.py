"""Logits of many patches under several views: the one path for out-of-fold and test patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from histoblend.data.views import apply_view
from histoblend.errors import ConfigRefusal

if TYPE_CHECKING:
    import keras

Logits = Callable[[np.ndarray], np.ndarray]
"""uint8 images (n, h, w, 3) in, float64 logits (n, outputs) out; two classes share one output."""


def network_logits(model: keras.Model) -> Logits:
    """The logits of a network's batch, in inference mode."""

    def logits(images: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(images), np.float64)

    return logits


def view_logits(
    logits: Logits, images: np.ndarray, rows: np.ndarray, views: Sequence[int], batch_size: int
) -> np.ndarray:
    """Logits of `rows` of `images` under each view.

    The last batch is as short as it is: nothing is padded, nothing dropped.

    Args:
        rows: int64 (n,), at least one.

    Returns:
        float64 array of shape (len(rows), len(views), outputs).

    Raises:
        ConfigRefusal: a logit is not finite.
    """
    batches = []
    for start in range(0, len(rows), batch_size):
        patches = np.asarray(images[rows[start : start + batch_size]])
        batches.append(np.stack([logits(apply_view(patches, view)) for view in views], axis=1))
    result = np.concatenate(batches)
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


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, outputs) of logits (n, outputs): a sigmoid of one, a softmax of several."""
    return sigmoid(logits) if logits.shape[1] == 1 else np.asarray(softmax(logits, axis=1))
