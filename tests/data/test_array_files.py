from __future__ import annotations

import gzip
import shutil
from collections import namedtuple
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits

from histoblend.data import array_files
from histoblend.data.array_files import open_arrays, unpacked_bytes
from histoblend.data.fitting import Fitting
from histoblend.errors import DataRefusal, MachineRefusal

Usage = namedtuple("Usage", "total used free")
Array = npt.NDArray[np.generic]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 24, 24, 3), dtype=np.uint8)
FITTING = Fitting(24)


def save(folder: Path, array: Array, kind: str, dataset: str = "x") -> str:
    path = folder / f"train_x.{kind}"
    if kind == "npy":
        np.save(path, array)
        return str(path)
    with h5py.File(folder / "train_x.h5", "w") as file:
        file[dataset] = array
    if kind == "h5.gz":
        path.write_bytes(gzip.compress((folder / "train_x.h5").read_bytes()))
        (folder / "train_x.h5").unlink()
    return str(path)


def patches(
    path: str, scratch: Path, rows: list[int], fitting: Fitting = FITTING
) -> tuple[npt.NDArray[np.uint8], dict[str, str]]:
    with open_arrays([path], scratch) as arrays:
        return arrays[path].patches(np.array(rows), fitting)


@pytest.mark.parametrize("kind", ["npy", "h5", "h5.gz"])
@pytest.mark.parametrize("rows", [[0, 1, 2], [39, 0], [7, 5, 6, 38], [12]], ids=str)
def test_rows_come_in_any_order(tmp_path: Path, kind: str, rows: list[int]) -> None:
    images, odd = patches(save(tmp_path, PIXELS, kind), tmp_path, rows)
    np.testing.assert_array_equal(images, PIXELS[rows])
    assert images.dtype == np.uint8 and odd == {}
    assert len(list(tmp_path.iterdir())) == 1


GREY = PIXELS[..., 0]
DEEP = np.random.default_rng(1).integers(0, 65536, (40, 24, 24, 3), dtype=np.uint16)


@pytest.mark.parametrize("kind", ["npy", "h5"])
@pytest.mark.parametrize(
    ("array", "expected", "odd"),
    [
        (GREY, GREY[..., None], {"greyscale"}),
        (GREY[..., None], GREY[..., None], {"greyscale"}),
        (GREY > 99, (GREY > 99)[..., None] * 255, {"greyscale"}),
        (PIXELS / 255, PIXELS, set()),
        ((PIXELS / 255).astype(np.float32), PIXELS, set()),
        (np.array([0.5, 0.499, 1, 0], np.float32)[:, None, None, None] * np.ones((1, 24, 24, 3)),
         np.array([128, 127, 255, 0])[:, None, None, None], set()),
        (DEEP, DEEP // 256, {"16 bit"}),
        (DEEP[..., 0], DEEP[..., :1] // 256, {"16 bit", "greyscale"}),
        (np.concatenate([PIXELS, np.full_like(PIXELS[..., :1], 255)], -1), PIXELS, {"alpha"}),
        (np.concatenate([PIXELS, np.zeros_like(PIXELS[..., :1])], -1), np.uint8(255), {"alpha"}),
    ],
)  # fmt: skip
def test_every_kind_of_value_has_a_rule(
    tmp_path: Path, kind: str, array: Array, expected: Array, odd: set[str]
) -> None:
    rows = list(range(min(4, len(array))))
    images, told = patches(save(tmp_path, array, kind), tmp_path, rows)
    expected = np.broadcast_to(expected[rows] if expected.ndim else expected, (len(rows), 24, 24, 3))
    np.testing.assert_array_equal(images, expected)
    assert set(told) == odd


def test_rows_of_another_size_are_fitted(tmp_path: Path) -> None:
    wide = np.tile(np.array([10, 200], np.uint8).repeat(24), (5, 24, 1))
    images, odd = patches(save(tmp_path, wide, "npy"), tmp_path, [3, 1], Fitting(16, "crop"))
    assert odd == {"greyscale": "one channel", "other size": "48x24"}
    assert images.shape == (2, 16, 16, 3)
    assert (images[:, :, :8] == 10).all() and (images[:, :, 8:] == 200).all()


def test_the_digits_of_scikit_learn(tmp_path: Path) -> None:
    images, odd = patches("sklearn:digits", tmp_path, [0, 1796], Fitting(8))
    expected = np.rint(load_digits().images[[0, 1796]] * 255 / 16)[..., None]
    np.testing.assert_array_equal(images, np.broadcast_to(expected, (2, 8, 8, 3)))
    assert images.max() == 255 and odd == {"greyscale": "one channel"}
    assert patches("sklearn:digits", tmp_path, [5], Fitting(96))[1]["other size"] == "8x8"


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (PIXELS * 1.0, "values from 0 to 255"),
        (PIXELS / 255 - 0.1, "values from -0.1"),
        (np.full((3, 24, 24), np.nan), "values from nan"),
        (PIXELS.astype(np.int64), "holds int64"),
        (PIXELS[0, 0], "shape 24x3"),
        (PIXELS[None], "shape 1x40x24x24x3"),
        (PIXELS.transpose(0, 3, 1, 2), r"shape 40x3x24x24(.|\n)*transpose\(0, 2, 3, 1\)"),
        (PIXELS[..., :2], "shape 40x24x24x2"),
        (PIXELS[:, :0], "shape 40x0x24x3"),
        (np.uint8(3), "single number"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "h5"])
def test_arrays_that_hold_no_pictures_are_refused(
    tmp_path: Path, array: Array, words: str, kind: str
) -> None:
    with pytest.raises(DataRefusal, match=words) as refusal:
        patches(save(tmp_path, array, kind), tmp_path, [0])
    assert refusal.value.expected


@pytest.mark.parametrize("kind", ["npy", "h5", "h5.gz"])
@pytest.mark.parametrize("length", [0, 5, 100, 0.5, -200])
def test_truncated_files_are_refused_and_leave_nothing(tmp_path: Path, kind: str, length: float) -> None:
    path = Path(save(tmp_path, PIXELS, kind))
    content = path.read_bytes()
    path.write_bytes(content[: int(length * len(content)) if isinstance(length, float) else length])
    with pytest.raises(DataRefusal, match="damaged, truncated or gone"):
        patches(str(path), tmp_path, [0])
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_damage_inside_an_archive_is_refused(tmp_path: Path) -> None:
    path = Path(save(tmp_path, PIXELS, "h5.gz"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataRefusal, match="damaged, truncated or gone"):
        patches(str(path), tmp_path, [0])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_pickled_array_and_an_archive_of_several_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataRefusal, match="damaged"):
        patches(str(tmp_path / "a.npy"), tmp_path, [0])
    np.savez(tmp_path / "b.npz", x=PIXELS)
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    with pytest.raises(DataRefusal, match="several arrays"):
        patches(str(tmp_path / "b.npy"), tmp_path, [0])


def test_without_the_dataset_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefusal, match=r'no dataset "x"; it holds images'):
        patches(save(tmp_path, PIXELS, "h5", dataset="images"), tmp_path, [0])
    with pytest.raises(DataRefusal, match='no dataset "x"'):
        patches(save(tmp_path, PIXELS, "h5", dataset="x/y"), tmp_path, [0])


@pytest.mark.parametrize("kind", ["npy", "h5", "h5.gz"])
def test_a_missing_file_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataRefusal, match="damaged, truncated or gone"):
        patches(str(tmp_path / f"none.{kind}"), tmp_path, [0])


def test_a_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for kind in ("npy", "h5"):
        with pytest.raises(DataRefusal, match="has 40 rows, but not 40, 41"):
            patches(save(tmp_path, PIXELS, kind), tmp_path, [0, 40, 41])


def test_what_is_unpacked_is_removed_after_a_failure_too(tmp_path: Path) -> None:
    path, scratch = save(tmp_path, PIXELS, "h5.gz"), tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(KeyboardInterrupt), open_arrays([path], scratch) as arrays:
        assert len(arrays[path]) == 40 and len(list(scratch.iterdir())) == 1
        raise KeyboardInterrupt
    assert not list(scratch.iterdir())


def test_too_little_space_to_unpack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, PIXELS, "h5.gz")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**30, 2**30 - 2**20, 2**20))
    with pytest.raises(MachineRefusal, match="1 MiB free"):
        patches(path, tmp_path, [0])
    assert len(list(tmp_path.iterdir())) == 1


def test_the_unpacked_size_is_told_beforehand(tmp_path: Path) -> None:
    path = save(tmp_path, PIXELS, "h5.gz")
    with gzip.open(path) as stream:
        assert unpacked_bytes(path) == len(stream.read())
    assert unpacked_bytes(save(tmp_path, PIXELS, "h5")) == 0
    large = (
        tmp_path / "large.h5.gz"
    )  # PCam's training pictures: 7.2 GB, of which gzip keeps the size modulo 4 GiB
    with large.open("wb") as stream:
        stream.truncate(6_400_000_000)
        stream.seek(6_400_000_000)
        stream.write((7_247_761_408 % 2**32).to_bytes(4, "little"))
    assert unpacked_bytes(str(large)) == 7_247_761_408


def test_hdf5_is_read_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = array_files._read
    monkeypatch.setattr(array_files, "_read", lambda array, rows: read.append(len(rows)) or real(array, rows))
    path = save(tmp_path, PIXELS, "h5")
    with open_arrays([path, path], tmp_path) as arrays:
        assert isinstance(arrays[path].array, h5py.Dataset)
        images, _ = arrays[path].patches(np.array([3, 20, 11, 39]), FITTING)
        np.testing.assert_array_equal(images, PIXELS[[3, 20, 11, 39]])
        images, _ = arrays[path].patches(np.array([39, 2]), FITTING)  # far apart: no slice spans them
        np.testing.assert_array_equal(images, PIXELS[[39, 2]])
    assert read == [4, 2]
