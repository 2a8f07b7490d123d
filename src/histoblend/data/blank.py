"""Patches with nothing on them: black, white, of one colour, or hardly any contrast."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histoblend.data.stain import UInt8Array

KINDS = ("black", "white", "one colour", "hardly any contrast")

# Grey levels, chosen on the 4,009 patches of hcd-mini: two patches off the scanned area have a bright end of 31
# and 45, the darkest tissue 81; empty glass has a spread of .7 to 1.8, glass with a speck or a wisp 2.8 and more;
# no glass has a dark end above 244, so 250 means that nothing was scanned.
BLACK_END = 60
WHITE_END = 250
ONE_COLOUR_RANGE = 2  # of each channel: what saving as JPEG does to a flat patch
LEAST_SPREAD = 2.5
OUTLYING = 0.01  # share of pixels at either end that do not count: a hot pixel makes no picture


def blank_kinds(images: UInt8Array) -> NDArray[Any]:
    """What each patch is if there is nothing on it: one of `KINDS`, else an empty string.

    - ``black``: all but the brightest hundredth of the pixels are darker than luminance 60 of 255;
    - ``white``: all but the darkest hundredth are brighter than 250;
    - ``one colour``: no channel ranges over more than 2 levels;
    - ``hardly any contrast``: the standard deviation of luminance is below 2.5 levels, as on empty glass.

    Args:
        images: uint8 (n, height, width, 3), RGB; a memory map is read patch by patch.

    Returns:
        object (n,) of str.
    """
    kinds = np.empty(len(images), dtype=object)
    for place, image in enumerate(images):
        kinds[place] = _kind(np.ascontiguousarray(image))
    return kinds


def _kind(image: UInt8Array) -> str:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    low, high = _ends(gray)
    if high < BLACK_END:
        return "black"
    if low > WHITE_END:
        return "white"
    if float(cv2.meanStdDev(gray)[1][0, 0]) >= LEAST_SPREAD:
        return ""
    pixels = image.reshape(-1, 3)
    flat = int(np.ptp(pixels, axis=0).max()) <= ONE_COLOUR_RANGE
    return "one colour" if flat else "hardly any contrast"


def _ends(gray: NDArray[Any]) -> tuple[int, int]:
    """The levels that a hundredth of the pixels lie below and above; a histogram is faster than sorting."""
    below = np.cumsum(cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel())
    low, high = np.searchsorted(below, [OUTLYING * gray.size, (1 - OUTLYING) * gray.size])
    return int(low), int(high)
