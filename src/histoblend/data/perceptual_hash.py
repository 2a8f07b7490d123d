"""Perceptual hashes: 64 bits that stay nearly the same when a patch is recompressed, brightened or a little shifted.

After Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010): the signs of the low
frequencies of a cosine transform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histoblend.data.stain import Float32Array, UInt8Array

Hashes = NDArray[np.uint64]
Rows = NDArray[np.intp]
Progress = Callable[[int, int], None]

SIDE = 96  # pixels at which two patches are compared
THUMBNAIL = 32  # side of the picture that is transformed
FREQUENCIES = 8
SHIFT = 1.5  # pixels of the four shifted views: with the plain one they come within 1 of any shift up to 2
IMAGES_AT_A_TIME = 1024
LEAST_THUMBNAIL_SPREAD = 0.5  # levels; below it the hash itself is noise

Plane = NDArray[Any]
View = Callable[[Plane], Plane]


def _turned(image: Plane, turns: int, mirrored: bool) -> Plane:
    turned = np.rot90(image, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


TURNS: tuple[View, ...] = tuple(
    partial(_turned, turns=turns, mirrored=mirrored) for mirrored in (False, True) for turns in range(4)
)
"""The eight dihedral views; the first is the picture itself."""
SHIFTS = tuple((across, down) for across in (-SHIFT, SHIFT) for down in (-SHIFT, SHIFT))
VIEWS = len(TURNS) + len(SHIFTS)


def perceptual_hashes(images: UInt8Array, rows: Rows | None = None) -> Hashes:
    """One hash a patch: uint8 (n, height, width, 3) in, uint64 (n,) out; 0 where there is nothing to see.

    Args:
        images: read chunk by chunk; may be a memory map.
        rows: those wanted; None for all.
    """
    chunks = [_hashes(_thumbnails(images[chunk], (0.0, 0.0))) for chunk in _chunks(len(images), rows)]
    return np.concatenate([*chunks, np.empty(0, np.uint64)])


def view_hashes(images: UInt8Array, rows: Rows | None = None, progress: Progress | None = None) -> Hashes:
    """Hashes of each patch, its seven turned and mirrored views and four slightly shifted ones.

    Args:
        images: uint8 (n, height, width, 3), read chunk by chunk; may be a memory map.
        rows: those wanted; None for all.
        progress: told how many patches of how many are done.

    Returns:
        uint64 (rows, 12); column 0 is `perceptual_hashes`.
    """
    hashes = np.empty((len(images) if rows is None else len(rows), VIEWS), dtype=np.uint64)
    done = 0
    for chunk in _chunks(len(images), rows):
        pictures = images[chunk]
        plain = _thumbnails(pictures, (0.0, 0.0))
        views = [np.stack([turn(thumbnail) for thumbnail in plain]) for turn in TURNS]
        views += [_thumbnails(pictures, shift) for shift in SHIFTS]
        hashes[done : done + len(chunk)] = np.column_stack([_hashes(view) for view in views])
        done += len(chunk)
        if progress:
            progress(done, len(hashes))
    return hashes


def _chunks(count: int, rows: Rows | None) -> Iterator[Rows]:
    chosen = np.arange(count) if rows is None else rows
    return (chosen[start : start + IMAGES_AT_A_TIME] for start in range(0, len(chosen), IMAGES_AT_A_TIME))


def _thumbnails(images: UInt8Array, shift: tuple[float, float]) -> Float32Array:
    """Luminance of the patches, shifted by so many pixels of 96: float32 (n, 32, 32)."""
    small = np.empty((len(images), THUMBNAIL, THUMBNAIL), dtype=np.float32)
    for place, image in enumerate(images):
        gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        if any(shift):
            across, down = np.multiply(shift, len(gray) / SIDE)
            move = np.array([[1, 0, across], [0, 1, down]], dtype=np.float32)
            gray = cv2.warpAffine(gray, move, gray.shape[::-1], borderMode=cv2.BORDER_REFLECT)
        small[place] = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return small


def _cosines() -> Float32Array:
    """The lowest waves of the discrete cosine transform (type II): (8, 32)."""
    phase = np.outer(np.arange(FREQUENCIES), 2 * np.arange(THUMBNAIL) + 1) * np.pi / (2 * THUMBNAIL)
    return np.cos(phase).astype(np.float32)


COSINES = _cosines()


def _hashes(thumbnails: Float32Array) -> Hashes:
    """Signs of the 63 lowest frequencies but the constant, as uint64 (n,): brightness and contrast leave them alone."""
    waves = COSINES @ thumbnails @ COSINES.T
    signs = (waves > 0).reshape(len(thumbnails), -1)
    signs[:, 0] = False
    signs[thumbnails.std(axis=(1, 2)) < LEAST_THUMBNAIL_SPREAD] = False
    return np.packbits(signs, axis=1).view(np.uint64).ravel()
