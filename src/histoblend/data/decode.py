"""Patch files to pixels: what is damaged or of another kind is reported, never repaired."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

PATCH_SHAPE = (96, 96, 3)
PATCH_BYTES = 96 * 96 * 3
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
FILES_A_CHUNK = 128

UInt8Array = npt.NDArray[np.uint8]


class Unreadable(Exception):
    """A file that is no sound 96x96 RGB patch; the message says in what way."""


@dataclass(frozen=True)
class Chunk:
    """Some decoded files: images uint8 (n, 96, 96, 3) RGB, a hash per image, and path and fault of bad files.

    A bad file leaves a black image and an empty hash in its row.
    """

    images: UInt8Array
    hashes: list[str]
    faults: list[tuple[str, str]]


def decode_patch(path: str) -> UInt8Array:
    """Decode the TIFF file at `path` into uint8 (96, 96, 3), RGB, 0-255.

    Raises:
        Unreadable: the file cannot be opened, is empty, no TIFF, truncated, or of another shape or depth.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be opened: {error.strerror or error}") from error
    if not content:
        raise Unreadable("empty file")
    if not content.startswith(TIFF_SIGNATURES):
        # OpenCV goes by content: it would take a renamed JPEG, and OpenCV 4.10 even the first half of one.
        raise Unreadable(f"no TIFF file: it begins with {content[:8]!r}")
    image = _decode(content)
    if image is None:
        raise Unreadable(f"truncated or damaged TIFF of {len(content):,} bytes")
    if image.shape != PATCH_SHAPE or image.dtype != np.uint8:
        shape = "x".join(str(side) for side in image.shape)
        raise Unreadable(f"{shape} {image.dtype} in place of 96x96x3 uint8")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def decode_files(paths: Sequence[str], workers: int) -> Iterator[Chunk]:
    """Decode `paths` in `workers` threads (OpenCV and the hash release the interpreter lock), in their order.

    At most a few chunks per worker are in memory at a time, whatever the number of files.
    """
    waiting: deque[Future[Chunk]] = deque()
    with _quiet_opencv(), ThreadPoolExecutor(workers) as pool:
        try:
            for start in range(0, len(paths), FILES_A_CHUNK):
                waiting.append(pool.submit(_decode_chunk, paths[start : start + FILES_A_CHUNK]))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def pixel_hash(image: UInt8Array) -> str:
    """32 hex digits (BLAKE2b) that identify the pixels of one patch, uint8 (96, 96, 3)."""
    return content_hash(np.ascontiguousarray(image).tobytes())


def content_hash(content: bytes) -> str:
    """32 hex digits (BLAKE2b) that identify the bytes of one patch, row by row in RGB."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _decode_chunk(paths: Sequence[str]) -> Chunk:
    chunk = Chunk(np.zeros((len(paths), *PATCH_SHAPE), np.uint8), [], [])
    for place, path in enumerate(paths):
        try:
            chunk.images[place] = decode_patch(path)
            chunk.hashes.append(pixel_hash(chunk.images[place]))
        except Unreadable as fault:
            chunk.hashes.append("")
            chunk.faults.append((path, str(fault)))
    return chunk


def _decode(content: bytes) -> UInt8Array | None:
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
