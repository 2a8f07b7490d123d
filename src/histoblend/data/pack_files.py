"""The files of a pack: pixels as .npy, an index, and the fingerprint that follows from the index.

``index.csv`` (part,row,id,label,pixel_hash) is sorted by part and id, so it depends on ids, labels and
decoded pixels alone; its hash is the identity of the data set, and tells a damaged index from a sound one.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from histoblend.data.decode import Chunk, content_hash
from histoblend.errors import ArtifactRefusal

PARTS = ("train", "test")
INDEX = "index.csv"
LONGEST_HEADER = 1024
ROWS_PROBED = 4096
"""Rows whose pixels are hashed when a pack is opened: all of a small pack, spread over a large one."""


def write_images(
    path: Path, side: int, chunks: Iterable[Chunk], seen: Callable[[int], None]
) -> tuple[int, list[Chunk]]:
    """Write the images of `chunks` as one .npy array uint8 (n, side, side, 3), flushed to disk.

    Written as a stream: on a full disk a write fails with an error, a memory map would kill the process.

    Args:
        seen: told the number of rows after each chunk, unreadable ones among them.

    Returns:
        n, and the chunks without their images.
    """
    count, told = 0, []
    with path.open("wb") as stream:
        start = _write_header(stream, 0, side)
        for chunk in chunks:
            stream.write(chunk.images.data)
            count += len(chunk.images)
            told.append(Chunk(chunk.images[:0].copy(), chunk.hashes, chunk.odd))
            seen(len(chunk.hashes))
        stream.seek(0)
        if (
            _write_header(stream, count, side) != start
        ):  # numpy leaves room for the digits of a growing length
            raise RuntimeError(f"the header of {path} has another length for {count} rows than for none")
        stream.flush()
        os.fsync(stream.fileno())
    return count, told


def write_index(folder: Path, train: pd.DataFrame, test: pd.DataFrame) -> str:
    """Write ``index.csv`` for id,label,pixel_hash and id,pixel_hash sorted by id; returns the fingerprint."""
    parts = []
    for part, frame in zip(PARTS, (train, test.assign(label="")), strict=True):
        numbered = frame.assign(part=part, row=np.arange(len(frame)), label=frame["label"].astype(str))
        parts.append(numbered[["part", "row", "id", "label", "pixel_hash"]])
    content = pd.concat([one for one in parts if len(one)]).to_csv(index=False, lineterminator="\n").encode()
    with (folder / INDEX).open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return _digest(content)


def read_pack(folder: Path, side: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read and check the pack in `folder`, which is named by its fingerprint.

    Returns:
        train id,label,pixel_hash and test id,pixel_hash, in row order.

    Raises:
        ArtifactRefusal: the index is not the one of the fingerprint, an array is missing, truncated or of
            another shape, or probed pixels differ from their hash.
    """
    try:
        content = (folder / INDEX).read_bytes()
        if _digest(content) != folder.name:
            raise damaged(folder, f"{INDEX} does not fit the fingerprint")
        index = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        frames = [index[index["part"] == part].reset_index(drop=True) for part in PARTS]
        for part, frame in zip(PARTS, frames, strict=True):
            _check_images(folder, part, frame, side)
    except (OSError, ValueError) as error:
        raise damaged(folder, str(error)) from error
    train, test = frames
    train = train[["id", "label", "pixel_hash"]].assign(label=train["label"].astype("int64"))
    return train, test[["id", "pixel_hash"]]


def open_images(folder: Path, part: str) -> npt.NDArray[np.uint8]:
    """A read-only memory map uint8 (n, side, side, 3) of one part; an empty part is a read-only empty array."""
    path = folder / f"{part}.npy"
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        empty = np.lib.format.read_array_header_1_0(stream)[0][0] == 0
    images: npt.NDArray[np.uint8] = np.load(path, mmap_mode=None if empty else "r")  # no map has length zero
    images.flags.writeable = False
    return images


def damaged(folder: Path, reason: str) -> ArtifactRefusal:
    """The refusal of a pack that is not what was written."""
    return ArtifactRefusal(
        f"The pixel cache {folder} is damaged: {reason}.",
        "the pack as written",
        "it is made anew by the next run.",
    )


def _write_header(stream: io.BufferedWriter, count: int, side: int) -> int:
    """Write the .npy header of uint8 (count, side, side, 3); returns where the pixels begin."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, side, side, 3)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.tell()


def _check_images(folder: Path, part: str, frame: pd.DataFrame, side: int) -> None:
    path, images, patch_bytes = folder / f"{part}.npy", open_images(folder, part), side * side * 3
    if images.shape != (len(frame), side, side, 3) or images.dtype != np.uint8:
        raise damaged(
            folder, f"{part}.npy is {images.shape} {images.dtype}, the index has {len(frame):,} rows"
        )
    header = path.stat().st_size - len(frame) * patch_bytes
    if header > LONGEST_HEADER:
        raise damaged(folder, f"{path.name} is {header - LONGEST_HEADER:,} bytes too long")
    hashes = frame["pixel_hash"].to_numpy()
    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), ROWS_PROBED)).astype(int))
    wrong = 0
    with path.open("rb") as stream:  # through a memory map, every probe would pull in its surroundings
        for row in rows:
            stream.seek(header + int(row) * patch_bytes)
            wrong += content_hash(stream.read(patch_bytes)) != hashes[row]
    if wrong:
        raise damaged(folder, f"{wrong:,} of {len(rows):,} probed rows of {path.name} hold other pixels")


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=6).hexdigest()
