"""What a pack will take, in bytes and seconds, before it is made."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pandas as pd

from histoblend.competition.contract import FILE, Competition
from histoblend.config import DataSettings
from histoblend.data.array_files import SPARE_BYTES, open_arrays, unpacked_bytes
from histoblend.data.decode import ROWS_A_CHUNK, array_paths, decode_rows
from histoblend.data.pack_writing import PackJob
from histoblend.errors import MachineRefusal
from histoblend.workspace import nearest_existing

INDEX_ROW_BYTES = 100
UNPACKED_A_SECOND = 100e6
"""Bytes of HDF5 that gzip unpacks in a second, about, for the estimate of a packing."""


def estimate_pack(competition: Competition, settings: DataSettings = DataSettings()) -> tuple[int, float]:
    """Bytes a pack takes on disk, and seconds to make it as extrapolated from decoding up to 128 files just now."""
    job = PackJob(competition, Path(), settings)
    table = pd.concat([competition.train[["path", "row"]], competition.test[["path", "row"]]])
    packed = table["path"].str.endswith(".gz") & (table["row"] != FILE)
    unpacking = sum(unpacked_bytes(path) for path in table.loc[packed, "path"].unique()) / UNPACKED_A_SECOND
    timed = table[~packed]
    sample = timed.iloc[:: max(1, len(timed) // ROWS_A_CHUNK)][:ROWS_A_CHUNK]
    start = time.perf_counter()
    with open_arrays(array_paths(sample), Path()) as arrays:
        for _ in decode_rows(sample, arrays, 1, job.fitting):
            pass
    seconds = (time.perf_counter() - start) * len(timed) / max(1, len(sample))
    return _needed_bytes(job), seconds + unpacking


def check_space(competition: Competition, scratch: Path, settings: DataSettings = DataSettings()) -> None:
    """Refuse if the disk that holds `scratch` has no room for the pack of `competition`, and to unpack archives.

    Raises:
        MachineRefusal: too little space.
    """
    needed = _needed_bytes(PackJob(competition, scratch, settings)) + _unpacked_at_once(competition)
    free = shutil.disk_usage(nearest_existing(scratch)).free
    if free < needed + SPARE_BYTES:
        raise MachineRefusal(
            f"The decoded patches take {needed / 2**20:,.0f} MiB; the disk of {scratch} has "
            f"{free / 2**20:,.0f} MiB free.",
            f"{(needed + SPARE_BYTES) / 2**20:,.0f} MiB free",
            "free some space, or name another folder in HISTOBLEND_SCRATCH.",
        )


def _needed_bytes(job: PackJob) -> int:
    return job.rows * (job.settings.side**2 * 3 + INDEX_ROW_BYTES)


def _unpacked_at_once(competition: Competition) -> int:
    """Most bytes of unpacked archives that lie beside the pack while one of its parts is written."""
    parts = (competition.train, competition.test)
    return max(sum(unpacked_bytes(path) for path in array_paths(table)) for table in parts)
