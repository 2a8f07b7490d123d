"""Pictures of any size brought to the side of a patch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fitting:
    """Side of the patches in pixels, and how a picture of another size is brought to it.

    Attributes:
        fit: ``"resize"``: the centre square, resized. ``"crop"``: the centre cut out, reflected where too small.
    """

    side: int = 96
    fit: Literal["resize", "crop"] = "resize"

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a patch."""
        return (self.side, self.side, 3)

    def fits(self, image: UInt8Array) -> bool:
        """Whether `image` (h, w, 3) has the side already."""
        return image.shape == self.shape

    def apply(self, image: UInt8Array) -> UInt8Array:
        """Bring `image`, uint8 (h, w, 3), to uint8 (side, side, 3)."""
        if self.fits(image):
            return image
        return _resized(image, self.side) if self.fit == "resize" else _cropped(image, self.side)


def _resized(image: UInt8Array, side: int) -> UInt8Array:
    """The centre square, resized.

    Pillow's bicubic: its kernel widens when shrinking, so that every pixel has a share (OpenCV's does not),
    and its whole-number arithmetic gives the same bytes on every machine, as a fingerprint of pixels needs.
    """
    height, width = image.shape[:2]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    centre = np.ascontiguousarray(image[top : top + square, left : left + square])
    return np.asarray(Image.fromarray(centre).resize((side, side), Image.Resampling.BICUBIC), dtype=np.uint8)


def _cropped(image: UInt8Array, side: int) -> UInt8Array:
    """The centre `side` x `side`; what a smaller picture lacks is reflected about its edge pixels."""
    starts = [max(length - side, 0) // 2 for length in image.shape[:2]]
    centre = image[starts[0] : starts[0] + side, starts[1] : starts[1] + side]
    missing = [side - length for length in centre.shape[:2]]
    padding = [(one // 2, one - one // 2) for one in missing]
    return np.pad(centre, [*padding, (0, 0)], mode="reflect")
