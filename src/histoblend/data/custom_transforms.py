"""Augmentations that albumentations lacks, as functions ``(image, generator, **parameters) -> image``.

Each draws from the generator it is given and from nothing else, and leaves its input untouched. To add one:
a function here and a row in `CUSTOM`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from histoblend.data.stain import HED_FROM_OD, OD_FROM_HED, UInt8Array, optical_density


def stain_jitter(
    image: UInt8Array,
    generator: np.random.Generator,
    scale: tuple[float, float] = (0.9, 1.1),
    shift: tuple[float, float] = (-0.02, 0.02),
) -> UInt8Array:
    """Scale and shift each of the haematoxylin, eosin and residual concentrations (Tellez et al. 2018).

    The change of optical density is applied as a factor on the intensities, so that ``scale=(1, 1),
    shift=(0, 0)`` gives the image back bit for bit, without a special case. Deconvolution after Ruifrok &
    Johnston 2001.

    Args:
        image: uint8 (height, width, 3).
        generator: source of the six draws.
        scale: range of the factors, 1 for no change.
        shift: range of the offsets, in natural-log optical density along a stain's vector.
    """
    factors = generator.uniform(scale[0], scale[1], size=3)
    offsets = generator.uniform(shift[0], shift[1], size=3)
    change_of_density = HED_FROM_OD @ np.diag(factors - 1.0) @ OD_FROM_HED
    constant = (offsets @ OD_FROM_HED)[:, None]
    # cv2.transform is the matrix product of every pixel: deterministic, and no BLAS threads in a feed worker.
    change = cv2.transform(
        optical_density(image), np.hstack([change_of_density.T, constant]).astype(np.float32)
    )
    levels = (image + np.float32(1.0)) * np.exp(-change) - np.float32(1.0)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def centre_safe_dropout(
    image: UInt8Array,
    generator: np.random.Generator,
    holes: tuple[int, int] = (1, 3),
    size: tuple[int, int] = (8, 20),
    centre: int = 32,
    margin: int = 4,
) -> UInt8Array:
    """Paint rectangles of the mean colour outside the labelled centre (Cutout, DeVries & Taylor 2017).

    Args:
        image: uint8 (height, width, 3).
        generator: source of the draws.
        holes: least and greatest number of rectangles.
        size: least and greatest side of a rectangle, pixels.
        centre: side of the labelled square, which is never painted.
        margin: pixels around it that are spared too, because a distortion before may have moved the
            labelled tissue.
    """
    height, width = image.shape[:2]
    side = centre + 2 * margin
    top, left = (height - side) // 2, (width - side) // 2
    painted = image.copy()
    colour = np.rint(image.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    for _ in range(generator.integers(holes[0], holes[1] + 1)):
        tall, wide = generator.integers(size[0], size[1] + 1, size=2)
        row, column = generator.integers(1 - tall, height), generator.integers(1 - wide, width)
        painted[max(row, 0) : row + tall, max(column, 0) : column + wide] = colour
    kept = slice(max(top, 0), top + side), slice(max(left, 0), left + side)
    painted[kept] = image[kept]
    return painted


CUSTOM: dict[str, Callable[..., UInt8Array]] = {
    "StainJitter": stain_jitter,
    "CentreSafeDropout": centre_safe_dropout,
}
