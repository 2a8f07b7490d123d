"""Every patch decoded once into one uint8 array per part, and the identity of the data set with it.

    <scratch>/<fingerprint>/{train.npy,test.npy,index.csv}   <scratch>/packs.json   <scratch>/odd_files-<stamp>.csv

The fingerprint is a hash of ids, labels and decoded pixels: neither the order of files, nor their times, nor
the format they are stored in change it. Names, sizes and times of the files (in packs.json) only decide
whether the pixels have to be looked at again.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import numpy.typing as npt
import pandas as pd

from histoblend.competition.contract import FILE, Competition
from histoblend.config import DataSettings
from histoblend.data.odd_files import UNREADABLE
from histoblend.data.pack_files import damaged, open_images, read_pack
from histoblend.data.pack_record import recorded, remember, remembered_odd, stamp_of
from histoblend.data.pack_space import check_space
from histoblend.data.pack_writing import PackJob, Progress, write_parts
from histoblend.errors import ArtifactRefusal
from histoblend.workspace import PARTIAL, storage_errors


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

    @property
    def unreadable(self) -> pd.DataFrame:
        """id, detail of the training files that were dropped because they could not be read."""
        odd = self.odd_files
        return odd.loc[(odd["part"] == "train") & (odd["kind"] == UNREADABLE), ["id", "detail"]]

    def train_images(self) -> npt.NDArray[np.uint8]:
        """A read-only memory map uint8 (n, side, side, 3), RGB."""
        return open_images(self.folder, "train")

    def test_images(self) -> npt.NDArray[np.uint8]:
        """A read-only memory map uint8 (n, side, side, 3), RGB; an empty array where there is no test part."""
        return open_images(self.folder, "test")


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
    job = PackJob(competition, scratch, settings, workers, progress)
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
    return _known(PackJob(competition, scratch, settings), stamp_of(competition, settings))[0]


def _pack_anew(job: PackJob, stamp: str, note: str) -> Pack:
    check_space(job.competition, job.scratch, job.settings)
    unfinished = job.scratch / f"{PARTIAL}-packing"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed; the lock says it is not at work
    unfinished.mkdir()
    start = time.perf_counter()
    try:
        fingerprint, odd = write_parts(job, unfinished)
        note = _settle(unfinished, job.scratch / fingerprint, note, job.settings.side)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    record = {"stamp": stamp, "fingerprint": fingerprint}
    remember(job.competition, job.settings, job.scratch, record, odd)
    what = "files" if (job.competition.train["row"] == FILE).any() else "rows"
    made = f"{job.rows:,} {what} decoded in {time.perf_counter() - start:.1f} s."
    return _open(job.scratch / fingerprint, f"{note} {made}".strip(), job.settings.side, odd)


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


def _known(job: PackJob, stamp: str) -> tuple[Pack | None, str]:
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
