"""One pass over all pixels: what is cheap to measure of every patch, for several questions at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histoblend.data.blank import blank_kinds
from histoblend.data.stain import STATISTICS, Float32Array, UInt8Array, stain_statistics

IMAGES_AT_A_TIME = 256
CHANNELS = ("red", "green", "blue")
FEATURES = (*(f"{channel}_{name}" for name in ("mean", "spread") for channel in CHANNELS), *STATISTICS)

IN_WORDS = {
    "blue_share_5": "least blue pixels",
    "blue_share_50": "blueness",
    "blue_share_95": "bluest pixels",
    "red_share_95": "reddest pixels",
    "dark_red_share": "red of dark pixels",
    "dark_blue_share": "blue of dark pixels",
    "pale_blue_share": "blue of pale pixels",
    "dark_density": "darkness",
    "blue_slope": "blue against green",
}
"""The statistics of colour as one would say them; shares are of the light absorbed."""


@dataclass(frozen=True)
class Description:
    """What every patch of a part looks like.

    Attributes:
        blank: object (n,) of str, empty for a patch with something on it.
        stains: float32 (n, 13), `stain.STATISTICS`.
        means: float32 (n, 3), of each channel, 0 to 1.
        squares: float32 (n, 3), means of the squares of each channel.
    """

    blank: NDArray[Any]
    stains: Float32Array
    means: Float32Array
    squares: Float32Array

    @property
    def features(self) -> Float32Array:
        """float32 (n, 19): `FEATURES`."""
        spread = np.sqrt(np.maximum(self.squares - self.means**2, 0))
        return np.hstack([self.means, spread, self.stains]).astype(np.float32)


def described(images: UInt8Array, progress: Callable[[int, int], None] | None = None) -> Description:
    """Look at each patch of uint8 (n, side, side, 3) once, chunk by chunk.

    Args:
        progress: told how many patches of how many were looked at.
    """
    parts = [_described_chunk(images[:0])]
    for start in range(0, len(images), IMAGES_AT_A_TIME):
        chunk = np.asarray(images[start : start + IMAGES_AT_A_TIME])
        parts.append(_described_chunk(chunk))
        if progress:
            progress(start + len(chunk), len(images))
    return Description(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _described_chunk(images: UInt8Array) -> tuple[NDArray[Any], ...]:
    levels = np.array([cv2.meanStdDev(image) for image in images], dtype=np.float64).reshape(-1, 2, 3) / 255
    means, spreads = levels[:, 0], levels[:, 1]
    squares = means**2 + spreads**2
    return blank_kinds(images), stain_statistics(images), means.astype(np.float32), squares.astype(np.float32)
