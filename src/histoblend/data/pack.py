"""Every patch decoded once into one uint8 array per part, and the identity of the data set with it.

    <scratch>/<fingerprint>/{train.npy,test.npy,index.csv}   <scratch>/packs.json   <scratch>/odd_files-<stamp>.csv

The fingerprint is a hash of ids, labels and decoded pixels: neither the order of files, nor their times, nor
the format they are stored in change it. Names, sizes and times of the files (in packs.json) only decide
whether the pixels have to be looked at again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import numpy.typing as npt
import pandas as pd

from histoblend.competition.contract import FILE, Competition
from histoblend.config import DataSettings
from histoblend.data.array_files import SPARE_BYTES, ArrayFile, open_arrays, unpacked_bytes
from histoblend.data.decode import ROWS_A_CHUNK, Chunk, array_paths, decode_rows
from histoblend.data.fitting import Fitting
from histoblend.data.odd_files import UNREADABLE, odd_table
from histoblend.data.pack_files import PARTS, damaged, open_images, read_pack, write_images, write_index
from histoblend.data.pack_record import recorded, remember, remembered_odd, stamp_of
from histoblend.errors import ArtifactRefusal, DataRefusal, MachineRefusal, some
from histoblend.workspace import PARTIAL, nearest_existing, storage_errors, write_csv

INDEX_ROW_BYTES = 100
FEWEST_THREADS = 4
"""On a mounted data set threads mostly wait for files: even one core gains from several."""
UNPACKED_A_SECOND = 100e6
"""Bytes of HDF5 that gzip unpacks in a second, about, for the estimate of a packing."""

Progress = Callable[[int, int], None]
OddRow = tuple[str, str, str, str]


@dataclass(frozen=True)
class Pack:
    """The decoded patches of a competition.

    Attributes:
        folder: where the files lie.
        fingerprint: twelve hex digits that identify ids, labels and pixels.
        train: id (str), label (int64), pixel_hash (str), sorted by id: row i describes ``train_images()[i]``.
        test: id, pixel_hash, sorted by id: row i describes ``test_images()[i]``; may be empty.
        note: how the pack came about, in a sentence.
        side: of the patches, in pixels.
        odd_files: part,id,kind,detail (str) of every odd file; those of kind "unreadable" are in no other table.
    """

    folder: Path
    fingerprint: str
    train: pd.DataFrame
    test: pd.DataFrame
    note: str
    side: int
    odd_files: pd.DataFrame

    def train_images(self) -> npt.NDArray[np.uint8]:
        """A read-only memory map uint8 (n, side, side, 3), RGB."""
        return open_images(self.folder, "train")

    def test_images(self) -> npt.NDArray[np.uint8]:
        """A read-only memory map uint8 (n, side, side, 3), RGB; an empty array where there is no test part."""
        return open_images(self.folder, "test")


@dataclass(frozen=True)
class _Job:
    """What is packed, where and how."""

    competition: Competition
    scratch: Path
    settings: DataSettings
    workers: int = 1
    progress: Progress | None = None

    @property
    def fitting(self) -> Fitting:
        return Fitting(self.settings.side, self.settings.fit)

    @property
    def rows(self) -> int:
        return len(self.competition.train) + len(self.competition.test)


def pack(
    competition: Competition,
    scratch: Path,
    workers: int,
    progress: Progress | None = None,
    settings: DataSettings = DataSettings(),
) -> Pack:
    """Open the pack of `competition` under `scratch`, or decode all files and write it.

    Args:
        progress: told how many rows of how many are decoded.
        settings: side, fit, and whether unreadable training files are dropped or stop the run.

    Raises:
        DataRefusal: files that are no sound pictures (all of them are listed in a file the message names), or
            a broken array file.
        MachineRefusal: too little disk space, or `scratch` cannot be written.
    """
    job = _Job(competition, scratch, settings, workers, progress)
    with storage_errors(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(scratch / ".packing.lock"):
            stamp = stamp_of(competition, settings)
            known, note = _known(job, stamp)
            return known or _pack_anew(job, stamp, note)


def find_pack(
    competition: Competition, scratch: Path, settings: DataSettings = DataSettings()
) -> Pack | None:
    """The pack of `competition` if it is there, sound and up to date; changes nothing."""
    if not scratch.is_dir():
        return None
    return _known(_Job(competition, scratch, settings), stamp_of(competition, settings))[0]


def estimate_pack(competition: Competition, settings: DataSettings = DataSettings()) -> tuple[int, float]:
    """Bytes a pack takes on disk, and seconds to make it as extrapolated from decoding up to 128 files just now."""
    job = _Job(competition, Path(), settings)
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
    needed = _needed_bytes(_Job(competition, scratch, settings)) + _unpacked_at_once(competition)
    free = shutil.disk_usage(nearest_existing(scratch)).free
    if free < needed + SPARE_BYTES:
        raise MachineRefusal(
            f"The decoded patches take {needed / 2**20:,.0f} MiB; the disk of {scratch} has "
            f"{free / 2**20:,.0f} MiB free.",
            f"{(needed + SPARE_BYTES) / 2**20:,.0f} MiB free",
            "free some space, or name another folder in HISTOBLEND_SCRATCH.",
        )


def _pack_anew(job: _Job, stamp: str, note: str) -> Pack:
    check_space(job.competition, job.scratch, job.settings)
    unfinished = job.scratch / f"{PARTIAL}-packing"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed; the lock says it is not at work
    unfinished.mkdir()
    start = time.perf_counter()
    try:
        fingerprint, odd = _write(job, unfinished)
        note = _settle(unfinished, job.scratch / fingerprint, note, job.settings.side)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    record = {"stamp": stamp, "fingerprint": fingerprint}
    remember(job.competition, job.settings, job.scratch, record, odd)
    what = "files" if (job.competition.train["row"] == FILE).any() else "rows"
    made = f"{job.rows:,} {what} decoded in {time.perf_counter() - start:.1f} s."
    return _open(job.scratch / fingerprint, f"{note} {made}".strip(), job.settings.side, odd)


def _write(job: _Job, folder: Path) -> tuple[str, pd.DataFrame]:
    """Decode everything into `folder`; returns the fingerprint and the table of odd files."""
    tables, odd, done = {}, list[OddRow](), 0

    def seen(count: int) -> None:
        nonlocal done
        done += count
        if job.progress:
            job.progress(done, job.rows)

    for part in PARTS:
        table = getattr(job.competition, part).sort_values("id")
        with open_arrays(array_paths(table), folder) as arrays:
            _check_rows(arrays, job.competition)
            chunks = decode_rows(table, arrays, max(FEWEST_THREADS, job.workers), job.fitting)
            written, told = write_images(folder / f"{part}.npy", job.settings.side, chunks, seen)
        odd += _odd_rows(part, list(table["id"]), told)
        hashed = table.assign(pixel_hash=[digest for chunk in told for digest in chunk.hashes])
        tables[part] = hashed[hashed["pixel_hash"] != ""]
        dropped = sum(row[0] == part and row[2] == UNREADABLE for row in odd)
        assert written == len(tables[part]) == len(table) - dropped, f"{part}: rows were lost"
    odd_files = odd_table(odd)
    _refuse_unreadable(job, odd_files)
    return write_index(folder, tables["train"], tables["test"]), odd_files


def _odd_rows(part: str, ids: list[str], told: list[Chunk]) -> list[OddRow]:
    rows, start = [], 0
    for chunk in told:
        rows += [(part, ids[start + place], kind, detail) for place, kind, detail in sorted(chunk.odd)]
        start += len(chunk.hashes)
    return rows


def _check_rows(arrays: dict[str, ArrayFile], competition: Competition) -> None:
    """Every row of an array file is listed exactly once: else labels and pictures do not belong together."""
    listed = pd.concat([competition.train[["path", "row"]], competition.test[["path", "row"]]])
    for path, array in arrays.items():
        rows = np.sort(listed.loc[listed["path"] == path, "row"].to_numpy())
        if not np.array_equal(rows, np.arange(len(array))):
            raise DataRefusal(
                f"{path} has {len(array):,} pictures; labels or ids are there for {len(rows):,}.",
                "one label or id for each row",
                "use the files that belong together.",
            )


def _refuse_unreadable(job: _Job, odd_files: pd.DataFrame) -> None:
    """Stop for unreadable files, of the test part only where those of the training part may be dropped."""
    faults = odd_files[odd_files["kind"] == UNREADABLE]
    dropping = job.settings.unreadable == "drop"
    if dropping and (faults["part"] == "train").sum() < len(job.competition.train):
        faults = faults[faults["part"] == "test"]
    if faults.empty:
        return
    path = job.scratch / "unreadable_files.csv"
    paths = {part: dict(getattr(job.competition, part)[["id", "path"]].to_numpy()) for part in PARTS}
    listed = [paths[part][one] for part, one in zip(faults["part"], faults["id"], strict=True)]
    write_csv(path, pd.DataFrame({"path": listed, "fault": faults["detail"]}))
    named = [f"{name} ({fault})" for name, fault in zip(listed, faults["detail"], strict=True)]
    only_train = (
        "" if dropping or (faults["part"] == "test").any() else "; --set data.unreadable=drop drops them"
    )
    raise DataRefusal(
        f"{len(faults):,} of {job.rows:,} files are no sound pictures: {some(named)}. "
        f"All of them are listed in {path}.",
        "JPEG, PNG, TIFF, BMP, GIF or WebP files of 8 or 16 bits",
        f"unpack the archives again; a file that is bad in the archive must leave its folder and its CSV{only_train}.",
    )


def _settle(unfinished: Path, folder: Path, note: str, side: int) -> str:
    """Put the finished pack in its place; one that is there and sound stays, a damaged one is set aside."""
    if folder.exists():
        try:
            read_pack(folder, side)
            return note
        except ArtifactRefusal as damage:
            aside = folder.with_name(f"{folder.name}-damaged-{time.time_ns()}")
            folder.replace(aside)
            note = f"{damage.found} It was moved to {aside.name} and made anew."
    unfinished.replace(folder)
    return note


def _open(folder: Path, note: str, side: int, odd: pd.DataFrame) -> Pack:
    train, test = read_pack(folder, side)
    return Pack(folder, folder.name, train, test, note, side, odd)


def _known(job: _Job, stamp: str) -> tuple[Pack | None, str]:
    """The pack these very files were packed into, if it is sound; else what is to be said about it."""
    record = recorded(job.competition, job.settings, job.scratch)
    if record is None:
        return None, ""
    if record.get("stamp") != stamp:
        return None, "The files have changed since they were packed, so they were looked at again."
    folder, odd = job.scratch / str(record.get("fingerprint")), remembered_odd(job.scratch, stamp)
    try:
        if odd is None:
            return None, "The table of odd files is gone or damaged, so they were looked at again."
        if not folder.is_dir():
            raise damaged(folder, "it is gone")
        return _open(folder, "The files are unchanged since they were packed.", job.settings.side, odd), ""
    except ArtifactRefusal as damage:
        return None, damage.found


def _needed_bytes(job: _Job) -> int:
    return job.rows * (job.settings.side**2 * 3 + INDEX_ROW_BYTES)


def _unpacked_at_once(competition: Competition) -> int:
    """Most bytes of unpacked archives that lie beside the pack while one of its parts is written."""
    parts = (competition.train, competition.test)
    return max(sum(unpacked_bytes(path) for path in array_paths(table)) for table in parts)
