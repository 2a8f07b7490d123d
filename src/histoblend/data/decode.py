"""Files to patches: picture files and rows of array files decoded, fitted and hashed, many at a time.

The plain TIFF of the competition goes through OpenCV, everything else through the rules of `pictures`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from histoblend.competition.contract import FILE
from histoblend.data.array_files import ArrayFile, open_arrays
from histoblend.data.fitting import Fitting
from histoblend.data.odd_files import OTHER_SIZE, UNREADABLE
from histoblend.data.pictures import Unreadable, picture_of, read_content, read_picture, suffix_oddity
from histoblend.data.tiff_header import is_plain_patch

__all__ = [
    "Decoded",
    "Fitting",
    "Unreadable",
    "decode_patch",
    "decode_picture",
    "read_patches",
    "read_picture",
]

ROWS_A_CHUNK = 128

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Decoded:
    """A patch, uint8 (side, side, 3) RGB, and what was odd about its file: kind -> detail."""

    image: UInt8Array
    odd: dict[str, str]


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a table, decoded.

    Attributes:
        images: uint8 (m, side, side, 3), RGB, of those that could be read, in their order.
        hashes: one of each of the n rows; empty for what could not be read.
        odd: place among the n rows, kind and detail of whatever is odd, unreadable ones among them.
    """

    images: UInt8Array
    hashes: list[str]
    odd: list[tuple[int, str, str]]


def decode_picture(path: str, fitting: Fitting = Fitting()) -> Decoded:
    """Decode the picture file at `path`, whatever its suffix says, and bring it to the side of a patch.

    Raises:
        Unreadable: it cannot be opened, is empty, damaged, truncated, no picture, or of a kind without a rule.
    """
    content, suffix = read_content(path), os.path.splitext(path)[1]  # noqa: PTH122 (ten times as fast)
    if is_plain_patch(content, fitting.side):
        return Decoded(_plain_patch(content, fitting), suffix_oddity("TIFF", suffix))
    picture = picture_of(content, suffix)
    if fitting.fits(picture.image):
        return Decoded(picture.image, picture.odd)
    height, width = picture.image.shape[:2]
    return Decoded(fitting.apply(picture.image), picture.odd | {OTHER_SIZE: f"{width}x{height}"})


def decode_patch(path: str, fitting: Fitting = Fitting()) -> UInt8Array:
    """The patch of a picture file alone, uint8 (side, side, 3), RGB.

    Raises:
        Unreadable: as `decode_picture`.
    """
    return decode_picture(path, fitting).image


def read_patches(table: pd.DataFrame, fitting: Fitting = Fitting()) -> UInt8Array:
    """A few patches of any layout, uint8 (n, side, side, 3): the rows of `table` (columns path, row) in its order.

    Raises:
        Unreadable: a picture file is not sound; the message names it.
        DataRefusal: an array file is not.
    """
    with tempfile.TemporaryDirectory() as folder, open_arrays(array_paths(table), Path(folder)) as arrays:
        chunks = list(decode_rows(table, arrays, 1, fitting))
    for number, chunk in enumerate(chunks):
        for place, kind, detail in chunk.odd:
            if kind == UNREADABLE:
                raise Unreadable(f"{table['path'].iloc[number * ROWS_A_CHUNK + place]}: {detail}")
    return np.concatenate([np.zeros((0, *fitting.shape), np.uint8), *[chunk.images for chunk in chunks]])


def array_paths(table: pd.DataFrame) -> list[str]:
    """The array files among the paths of `table`, each once."""
    return list(table.loc[table["row"] != FILE, "path"].unique())


def decode_rows(
    table: pd.DataFrame, arrays: Mapping[str, ArrayFile], workers: int, fitting: Fitting
) -> Iterator[Chunk]:
    """Decode what `table` (columns path, row) lists in `workers` threads, in its order.

    OpenCV, Pillow and the hash release the interpreter lock. At most a few chunks per worker are in memory at a
    time, whatever the number of rows.
    """
    paths, rows = list(table["path"]), table["row"].to_numpy(np.int64)
    waiting: deque[Future[Chunk]] = deque()
    with _quiet_opencv(), ThreadPoolExecutor(workers) as pool:
        try:
            for start in range(0, len(paths), ROWS_A_CHUNK):
                piece = slice(start, start + ROWS_A_CHUNK)
                waiting.append(pool.submit(_decode_chunk, paths[piece], rows[piece], arrays, fitting))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def pixel_hash(image: UInt8Array) -> str:
    """32 hex digits (BLAKE2b) that identify the pixels of one patch, uint8 (side, side, 3)."""
    return content_hash(np.ascontiguousarray(image).tobytes())


def content_hash(content: bytes) -> str:
    """32 hex digits (BLAKE2b) that identify the bytes of one patch, row by row in RGB."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _decode_chunk(
    paths: list[str], rows: npt.NDArray[np.int64], arrays: Mapping[str, ArrayFile], fitting: Fitting
) -> Chunk:
    images = np.zeros((len(paths), *fitting.shape), np.uint8)
    files = np.where(rows == FILE, "", np.array(paths, dtype=object))
    odd: list[tuple[int, str, str]] = []
    for place in np.flatnonzero(rows == FILE).tolist():
        odd += [(place, *one) for one in _put_picture(images, place, paths[place], fitting)]
    for path in dict.fromkeys(files[rows != FILE]):
        places = np.flatnonzero(files == path)
        images[places], kinds = arrays[path].patches(rows[places], fitting)
        odd += [(place, *one) for place in places.tolist() for one in kinds.items()]
    bad = {place for place, kind, _ in odd if kind == UNREADABLE}
    hashes = ["" if place in bad else pixel_hash(image) for place, image in enumerate(images)]
    return Chunk(np.delete(images, sorted(bad), axis=0) if bad else images, hashes, odd)


def _put_picture(images: UInt8Array, place: int, path: str, fitting: Fitting) -> list[tuple[str, str]]:
    """Decode one picture file into its place; returns kind and detail of what is odd about it."""
    try:
        decoded = decode_picture(path, fitting)
    except Unreadable as fault:
        return [(UNREADABLE, str(fault))]
    images[place] = decoded.image
    return list(decoded.odd.items())


def _plain_patch(content: bytes, fitting: Fitting) -> UInt8Array:
    image = _opencv(content)
    if image is None or image.shape != fitting.shape or image.dtype != np.uint8:
        raise Unreadable(f"truncated or damaged TIFF of {len(content):,} bytes")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _opencv(content: bytes) -> UInt8Array | None:
    try:
        # Unchanged, or a grey, 16-bit or RGBA file would pass for an RGB one.
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]
    except cv2.error:
        return None


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from printing what it finds wrong with a file: `Unreadable` says it in order."""
    logging = getattr(cv2.utils, "logging", cv2)  # OpenCV 5 has moved it
    before = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(before)
