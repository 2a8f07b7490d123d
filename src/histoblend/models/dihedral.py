"""The dihedral group D4 in numbers: products, inverses, and where each turned kernel finds its values.

Element ``g`` is view ``g`` of `histoblend.data.views`: ``g % 4`` quarter turns and, from 4 on, a left-right mirror
afterwards. A map of the group holds ``8 * fields`` channels, orientation-major: channel ``o * fields + f`` is field
``f`` at orientation ``o``. If a patch is seen under view ``g``, each such map is seen under view ``g`` too and its
orientations change places: what was at ``o`` comes to ``PRODUCTS[g, o]`` (Cohen and Welling 2016, arXiv:1602.07576).
"""

from __future__ import annotations

import numpy as np

from histoblend.data.views import ALL_VIEWS, apply_view

ORDER = len(ALL_VIEWS)


def _products() -> np.ndarray:
    square = np.arange(4).reshape(1, 2, 2, 1)
    known = {apply_view(square, view).tobytes(): view for view in ALL_VIEWS}
    rows = [
        [known[apply_view(apply_view(square, first), then).tobytes()] for first in ALL_VIEWS]
        for then in ALL_VIEWS
    ]
    return np.array(rows)


PRODUCTS: np.ndarray = _products()
"""int64 (8, 8): view ``PRODUCTS[g, h]`` is view ``h`` followed by view ``g``."""
INVERSES: np.ndarray = np.argmin(PRODUCTS, axis=1)  # the identity is 0
"""int64 (8,): view ``INVERSES[g]`` undoes view ``g``."""


def kernel_sources(size: int, orientations: int) -> np.ndarray:
    """Which of its own values a kernel takes where, when it is turned to each of the eight orientations.

    Args:
        size: side of the kernel in cells.
        orientations: of the map that comes in: 1 for a picture, 8 for a map of the group.

    Returns:
        int64 (size * size * orientations, 8): in row ``cell * orientations + o``, column ``u``, the row (counted
        alike) of the one kernel that the filter of output orientation ``u`` has there.
    """
    cells = np.arange(size * size).reshape(1, size, size, 1)
    turned = np.stack([apply_view(cells, view).ravel() for view in ALL_VIEWS], axis=1)
    if orientations == 1:
        return turned
    # The filter of orientation u looks at input orientation o as the unturned one looks at (u^-1 o).
    within = PRODUCTS[INVERSES].T
    sources = turned[:, None, :] * ORDER + within[None]
    return np.asarray(sources.reshape(-1, ORDER))


def transformed_map(values: np.ndarray, view: int) -> np.ndarray:
    """A map of the group (n, h, h, 8 * fields) as it must be where the patch is seen under `view`."""
    split = apply_view(values, view).reshape(*values.shape[:-1], ORDER, -1)
    return split[..., PRODUCTS[INVERSES[view]], :].reshape(values.shape)
