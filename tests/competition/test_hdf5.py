from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from histoblend.competition.hdf5 import read_dataset, read_shape


@pytest.mark.parametrize("chunks", [None, (1, 96, 96, 3)])
def test_of_a_packed_file_only_the_head_is_unpacked(tmp_path: Path, chunks: tuple[int, ...] | None) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 96, 96, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=pictures, chunks=chunks)
    whole = gzip.compress((tmp_path / "x.h5").read_bytes())
    packed = tmp_path / "x.h5.gz"
    packed.write_bytes(whole)
    np.testing.assert_array_equal(read_dataset(packed, "x"), pictures)
    packed.write_bytes(whole[: len(whole) // 4])  # what lies behind is not looked at
    assert read_shape(packed, "x") == ((40, 96, 96, 3), np.uint8)


def test_a_small_file_packed_in_memory_reads_as_unpacked(tmp_path: Path) -> None:
    stream = io.BytesIO()
    labels = np.arange(7, dtype=np.uint8).reshape(-1, 1, 1, 1)
    with h5py.File(stream, "w") as file:
        file.create_dataset("y", data=labels, compression="gzip")
    (tmp_path / "y.h5.gz").write_bytes(gzip.compress(stream.getvalue()))
    np.testing.assert_array_equal(read_dataset(tmp_path / "y.h5.gz", "y"), labels)
    assert os.listdir(tmp_path) == ["y.h5.gz"]  # noqa: PTH208
