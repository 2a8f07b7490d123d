"""Rows of array files as patches: `.npy`, `.h5` and `.h5.gz` (dataset "x"), and scikit-learn's bundled digits.

Rows are (h, w) or (h, w, 1, 3 or 4) of uint8, bool, floats within 0 to 1 (times 255, rounded) or uint16 (the
high byte); the digits' 0 to 16 become 0 to 255. Nothing is read whole: `.npy` is mapped, `.h5` read in slices.
"""

from __future__ import annotations

import gzip
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from histoblend.competition.contract import DIGITS_FILE
from histoblend.data.fitting import Fitting, UInt8Array
from histoblend.data.odd_files import OTHER_SIZE, SIXTEEN_BIT
from histoblend.data.pictures import to_rgb
from histoblend.errors import DataRefusal, MachineRefusal, some
from histoblend.workspace import PARTIAL

DATASET = "x"
SPARE_BYTES = 64 * 2**20
COPIED_AT_A_TIME = 2**20
WIDEST_SPAN = 4
"""Rows of a chunk that lie within this many times their number are read as one slice."""

EXPECTED = f'an array (n, h, w) or (n, h, w, 1, 3 or 4), in HDF5 under the name "{DATASET}"'


@dataclass(frozen=True)
class ArrayFile:
    """An open array of n pictures; reading is safe in threads.

    Attributes:
        path: what the tables call it.
        array: a memory map, an array or a HDF5 dataset (n, h, w[, channels]).
    """

    path: str
    array: Any

    def __len__(self) -> int:
        return int(self.array.shape[0])

    def patches(self, rows: npt.NDArray[np.int64], fitting: Fitting) -> tuple[UInt8Array, dict[str, str]]:
        """The rows as uint8 (n, side, side, 3), RGB, and what is odd about every one of them: kind -> detail.

        Raises:
            DataRefusal: rows cannot be read, are not there, or hold values without a rule.
        """
        pixels = self._pixels(rows)
        odd = {SIXTEEN_BIT: "high byte"} if self.array.dtype == np.uint16 else {}
        images, more = to_rgb(pixels if pixels.ndim == 4 else pixels[..., None])
        odd |= more
        if images.shape[1:] != fitting.shape:
            odd[OTHER_SIZE] = f"{images.shape[2]}x{images.shape[1]}"
            images = np.stack([fitting.apply(image) for image in images])
        return images, odd

    def _pixels(self, rows: npt.NDArray[np.int64]) -> UInt8Array:
        if len(missing := rows[(rows < 0) | (rows >= len(self))]):
            raise DataRefusal(f"{self.path} has {len(self):,} rows, but not {some(missing.tolist())}.")
        try:
            return _as_bytes(_read(self.array, rows), self.path)
        except OSError as error:
            raise _broken(self.path, str(error)) from error


@contextmanager
def open_arrays(paths: Iterable[str], folder: Path) -> Iterator[dict[str, ArrayFile]]:
    """Open array files; a `.gz` is unpacked into `folder` and removed at the end, also after a failure.

    Raises:
        DataRefusal: a file is broken, has no dataset "x", or is no array of pictures.
        MachineRefusal: too little space to unpack.
    """
    with ExitStack() as stack:
        yield {path: _checked(ArrayFile(path, _open(path, folder, stack))) for path in dict.fromkeys(paths)}


def unpacked_bytes(path: str) -> int:
    """Bytes a `.gz` takes unpacked; 0 for a file that is not packed.

    gzip keeps the size modulo 2^32 in its last four bytes (RFC 1952); the smallest such size that is not below
    the packed one is taken, which holds for pictures.

    Raises:
        DataRefusal: it cannot be read.
    """
    if not path.endswith(".gz"):
        return 0
    try:
        with Path(path).open("rb") as stream:
            packed = stream.seek(0, 2)
            stream.seek(max(0, packed - 4))
            size = int.from_bytes(stream.read(4), "little")
    except OSError as error:
        raise _broken(path, str(error)) from error
    return size + max(0, -((size - packed) // 2**32)) * 2**32


def digits_file() -> Path:
    """The file with scikit-learn's bundled digits."""
    import sklearn.datasets  # late: it takes half a second, and only the digits need it

    return Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"


def _open(path: str, folder: Path, stack: ExitStack) -> Any:
    if path == DIGITS_FILE:
        from sklearn.datasets import load_digits

        return np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    if path.endswith(".npy"):
        return _open_npy(path)
    if path.endswith(".gz"):
        return _open_h5(str(_unpack(path, folder, stack)), path, stack)
    return _open_h5(path, path, stack)


def _open_npy(path: str) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(array, np.ndarray):
        raise _broken(path, "it holds several arrays")
    return array


def _open_h5(place: str, path: str, stack: ExitStack) -> h5py.Dataset:
    try:
        file = stack.enter_context(h5py.File(place, "r"))
        found = sorted(file)
        dataset = file.get(DATASET)
    except (OSError, KeyError, RuntimeError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(dataset, h5py.Dataset):
        raise DataRefusal(
            f'{path} has no dataset "{DATASET}"; it holds {some(found) or "nothing"}.',
            EXPECTED,
            "use the file as PatchCamelyon has it.",
        )
    return dataset


def _unpack(path: str, folder: Path, stack: ExitStack) -> Path:
    place = folder / f"{PARTIAL}-{Path(path).stem}"
    stack.callback(place.unlink, missing_ok=True)
    try:
        needed, free = unpacked_bytes(path), shutil.disk_usage(folder).free
        if free < needed + SPARE_BYTES:
            raise MachineRefusal(
                f"{path} takes {needed / 2**20:,.0f} MiB unpacked; the disk of {folder} has "
                f"{free / 2**20:,.0f} MiB free.",
                f"{(needed + SPARE_BYTES) / 2**20:,.0f} MiB free",
                "free some space, or name another folder in HISTOBLEND_SCRATCH.",
            )
        with gzip.open(path) as packed, place.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, COPIED_AT_A_TIME)
    except (gzip.BadGzipFile, EOFError, zlib.error, struct.error) as error:
        raise _broken(path, str(error)) from error
    return place


def _checked(file: ArrayFile) -> ArrayFile:
    shape, dtype = file.array.shape, file.array.dtype
    sizes = "x".join(map(str, shape))
    if len(shape) not in (3, 4) or 0 in shape[1:] or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        channels_first = len(shape) == 4 and shape[1] in (1, 3, 4)
        remedy = "move the channels to the end: x.transpose(0, 2, 3, 1)." if channels_first else ""
        raise DataRefusal(f"{file.path} has the shape {sizes or 'of a single number'}.", EXPECTED, remedy)
    if dtype not in (np.uint8, np.uint16, np.bool_) and dtype.kind != "f":
        raise DataRefusal(
            f"{file.path} holds {dtype}.",
            "uint8, uint16, bool, or floats from 0 to 1",
            'save it with x.astype("uint8") where its values go from 0 to 255.',
        )
    return file


def _read(array: Any, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Rows in any order; HDF5 wants slices, or growing indices."""
    if isinstance(array, np.ndarray):
        return np.asarray(array[rows])
    first, last = int(rows.min()), int(rows.max())
    if last - first < WIDEST_SPAN * len(rows):
        return np.asarray(array[first : last + 1][rows - first])
    distinct, places = np.unique(rows, return_inverse=True)
    return np.asarray(array[distinct][places])


def _as_bytes(values: npt.NDArray[Any], path: str) -> UInt8Array:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not ((values >= 0) & (values <= 1)).all():  # false for NaN, too
        raise DataRefusal(
            f"{path} holds {values.dtype} values from {values.min():.6g} to {values.max():.6g}.",
            "floats from 0 to 1, or uint8",
            'save it with x.astype("uint8") where its values go from 0 to 255.',
        )
    return np.rint(values.astype(np.float64) * 255).astype(np.uint8)


def _broken(path: str, reason: str) -> DataRefusal:
    return DataRefusal(f"{path} is damaged, truncated or gone: {reason}.", EXPECTED, "download it again.")
