"""Learned poolings: layers that make one vector of a map and learn how. Both are invariant under the dihedral group.

They compute in the dtype they are given; the heads give them float32 or better, whatever the precision of the map.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

SMALLEST = 1e-6  # where activations are clamped: a logarithm follows


def coverage(cells: int, share: float) -> np.ndarray:
    """Float64 (cells,): which part of each cell of one axis lies in the middle `share` (0-1] of that axis."""
    edges = np.arange(cells + 1) / cells
    first, last = (1 - share) / 2, (1 + share) / 2
    covered = np.clip(np.minimum(edges[1:], last) - np.maximum(edges[:-1], first), 0, None) * cells
    return np.asarray((covered + covered[::-1]) / 2)  # exactly symmetric, whatever was rounded


class AtLeastOne(keras.constraints.Constraint):
    """Keeps the exponent of a generalised mean at 1 (the mean) or above, after each step of the optimizer."""

    def __call__(self, value: Any) -> Any:
        return ops.maximum(value, 1.0)


@keras.saving.register_keras_serializable(package="histoblend")
class GeneralisedMean(keras.layers.Layer):
    """(n, h, w, c) -> (n, c): (mean of x ** p) ** (1 / p) over the cells, one learned exponent p >= 1.

    Between the mean (p = 1) and the maximum (p large); Radenovic, Tolias and Chum 2018, arXiv:1711.02512. Negative
    activations count as zero. Taken through logarithms, so no power overflows or underflows on the way.

    Args:
        exponent: where p starts; 3 in the paper.
    """

    reach = "whole"

    def __init__(self, exponent: float = 3.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.first_exponent = exponent

    def build(self, input_shape: Any) -> None:
        start = keras.initializers.Constant(self.first_exponent)
        self.exponent = self.add_weight(shape=(), initializer=start, constraint=AtLeastOne(), name="exponent")

    def call(self, inputs: Any) -> Any:
        exponent = ops.cast(self.exponent, inputs.dtype)
        logarithms = exponent * ops.log(ops.maximum(inputs, SMALLEST))
        cells = math.prod(inputs.shape[1:3])
        return ops.exp((ops.logsumexp(logarithms, axis=(1, 2)) - math.log(cells)) / exponent)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "exponent": self.first_exponent}


@keras.saving.register_keras_serializable(package="histoblend")
class CentreAttention(keras.layers.Layer):
    """(n, h, w, c) and scores (n, h, w, 1) -> (n, c): a mean over the cells, weighed by a softmax of their scores.

    To each score a prior is added: a learned strength times the part of the cell that the labelled centre covers. With
    zero scores and zero strength it is the plain mean (Ilse, Tomczak and Welling 2018, arXiv:1802.04712, pool so
    without a prior).

    Args:
        share: side of the labelled centre as a part of the map's, at most 1.
        strength: where the strength starts; log 8 gives a labelled ninth of the area half of the weight.
    """

    reach = "whole"

    def __init__(self, share: float, strength: float = math.log(8), **settings: Any) -> None:
        super().__init__(**settings)
        self.share, self.first_strength = share, strength

    def build(self, input_shape: Any) -> None:
        height, width = input_shape[0][1:3]
        prior = np.outer(coverage(height, self.share), coverage(width, self.share))
        self.prior = prior.reshape(1, height, width, 1)
        start = keras.initializers.Constant(self.first_strength)
        self.strength = self.add_weight(shape=(), initializer=start, name="strength")

    def call(self, inputs: Any) -> Any:
        features, scores = inputs
        strength = ops.cast(self.strength, scores.dtype)
        scores = scores + strength * ops.convert_to_tensor(self.prior, scores.dtype)
        # Keras's softmax wants one axis of a known length, and warns where a map is a single cell.
        weights = ops.exp(scores - ops.logsumexp(scores, axis=(1, 2), keepdims=True))
        return ops.sum(features * weights, axis=(1, 2))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share, "strength": self.first_strength}
