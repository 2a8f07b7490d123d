"""HDF5 files, packed with gzip or not: small datasets whole, of large ones only shape and dtype."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from histoblend.errors import DataRefusal

ENDLESS = 1 << 60


class _Unpacking(io.RawIOBase):
    """A packed file that is unpacked only as far as it is read: it says that it is endless rather than look."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self.packed, self.place = packed, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.place = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: ENDLESS}[whence] + offset
        return self.place

    def readinto(self, buffer: Any) -> int:
        self.packed.seek(self.place)
        data = self.packed.read(len(buffer))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


def read_dataset(path: Path, name: str) -> np.ndarray:
    """All of the dataset `name` in the file at `path`.

    Raises:
        DataRefusal: the file is damaged, or has no such dataset.
    """
    with _opened(path) as file:
        return np.asarray(_dataset(file, name, path)[...])


def read_shape(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the dataset `name`; of a packed file little more than the head is unpacked.

    Raises:
        DataRefusal: the file is damaged, or has no such dataset.
    """
    with _opened(path) as file:
        dataset = _dataset(file, name, path)
        return tuple(dataset.shape), dataset.dtype


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as packed, h5py.File(_Unpacking(packed), "r") as file:
                yield file
        else:
            with h5py.File(path, "r") as file:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataRefusal(
            f"{path} cannot be read as HDF5: {error}.",
            "a whole file: HDF5, packed with gzip if its name ends in .gz",
            "download it again; a download that broke off is too short.",
        ) from error


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise DataRefusal(
            f'{path} has no dataset "{name}"; it holds {", ".join(file) or "nothing"}.',
            f'the dataset "{name}"',
            "download it again.",
        )
    return found
