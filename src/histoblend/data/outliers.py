"""Patches whose colours lie far from all others: ink, pigment, the slide's edge, another stain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoblend.data.stain import STATISTICS, Float32Array

COLOURS = slice(
    0, STATISTICS.index("blue_slope") + 1
)  # hues and strength; sharpness and noise follow the glass
NEIGHBOUR = 10
FITTED_ROWS = 20_000  # patches among which neighbours are sought at most
LEAST_SCALE = 1e-3  # of a statistic: below it patches do not differ in it

OUTLYING = 5.0
"""Distance from which a patch counts as an outlier. Of 4,009 patches of hcd-mini 34 lie beyond it, seen one by
one: blue and black ink, the slide's edge, brown pigment, blood, out-of-focus tissue, and some nearly empty glass."""


def colour_distances(statistics: Float32Array, ordinary: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far each patch lies from its tenth nearest neighbour, in units of the median of these distances.

    Neighbours and not the distance from the middle: a slide with a stain of its own has its own patches beside it.
    Statistics are put on one scale by their interquartile range.

    Args:
        statistics: (n, 13), as from `stain.stain_statistics`; its nine of colour are used.
        ordinary: bool (n,), the patches that are compared with each other; the rest, such as blank ones, get 0.

    Returns:
        float64 (n,), at least 0.
    """
    from sklearn.neighbors import NearestNeighbors

    distances = np.zeros(len(statistics))
    if ordinary.sum() <= 2:
        return distances
    values = _scaled(statistics[ordinary, COLOURS].astype(np.float64))
    reference = values[:: -(-len(values) // FITTED_ROWS)]
    wanted = min(NEIGHBOUR + 1, len(reference))  # a patch is its own nearest, at distance 0
    nearest = NearestNeighbors(n_neighbors=wanted).fit(reference).kneighbors(values)[0][:, -1]
    distances[ordinary] = nearest / max(float(np.median(nearest)), 1e-9)
    return distances


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    return values / np.maximum(high - low, LEAST_SCALE)
