"""The eight views of the dihedral group D4: four rotations, each with and without a reflection.

View ``k`` turns the patch by ``k % 4`` quarter turns and, from 4 on, mirrors it left to right afterwards.
"""

from __future__ import annotations

import numpy as np

IDENTITY = 0
ALL_VIEWS = tuple(range(8))
_CHOSEN = {1: (0,), 4: (0, 1, 2, 3), 8: ALL_VIEWS}


def chosen_views(count: int) -> tuple[int, ...]:
    """The distinct views averaged for `count` (1, 4 or 8) views; the first is the identity."""
    return _CHOSEN[count]


def apply_view(images: np.ndarray, view: int) -> np.ndarray:
    """View `view` of square `images`, shape (n, h, h, channels); a copy in the same dtype."""
    turned = np.rot90(images, view % 4, axes=(1, 2))
    if view >= 4:
        turned = turned[:, :, ::-1]
    return np.ascontiguousarray(turned)


def undo_view(images: np.ndarray, view: int) -> np.ndarray:
    """The inverse of `apply_view`."""
    if view >= 4:
        images = images[:, :, ::-1]
    return np.ascontiguousarray(np.rot90(images, -(view % 4), axes=(1, 2)))
