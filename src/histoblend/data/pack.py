"""Every patch decoded once into one uint8 array per part, and the identity of the data set with it.

    <scratch>/<fingerprint>/{train.npy,test.npy,index.csv}   and   <scratch>/packs.json

The fingerprint is a hash of ids, labels and decoded pixels: neither the order of files, nor their times, nor
the compression inside the TIFF container change it. Names, sizes and times of the files (in packs.json) only
decide whether the pixels have to be looked at again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt
import pandas as pd

from histoblend.competition.layouts import Competition
from histoblend.data.decode import FILES_A_CHUNK, PATCH_BYTES, decode_files
from histoblend.data.pack_files import PARTS, damaged, open_images, read_pack, write_images, write_index
from histoblend.errors import ArtifactRefusal, DataRefusal, MachineRefusal, some
from histoblend.workspace import PARTIAL, nearest_existing, read_json, storage_errors, write_csv, write_json

VERSION = 1
INDEX_ROW_BYTES = 100
SPARE_BYTES = 64 * 2**20
FEWEST_THREADS = 4
"""On a mounted data set threads mostly wait for files: even one core gains from several."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pack:
    """The decoded patches of a competition.

    Attributes:
        folder: where the files lie.
        fingerprint: twelve hex digits that identify ids, labels and pixels.
        train: id (str), label (int64), pixel_hash (str), sorted by id: row i describes ``train_images()[i]``.
        test: id, pixel_hash, sorted by id: row i describes ``test_images()[i]``.
        note: how the pack came about, in a sentence.
    """

    folder: Path
    fingerprint: str
    train: pd.DataFrame
    test: pd.DataFrame
    note: str

    def train_images(self) -> npt.NDArray[np.uint8]:
        """A read-only memory map uint8 (n, 96, 96, 3), RGB."""
        return open_images(self.folder, "train")

    def test_images(self) -> npt.NDArray[np.uint8]:
        """A read-only memory map uint8 (n, 96, 96, 3), RGB."""
        return open_images(self.folder, "test")


def pack(competition: Competition, scratch: Path, workers: int, progress: Progress | None = None) -> Pack:
    """Open the pack of `competition` under `scratch`, or decode all files and write it.

    Args:
        progress: told how many files of how many are decoded.

    Raises:
        DataRefusal: files that are no sound patches; all of them are listed in a file the message names.
        MachineRefusal: too little disk space, or `scratch` cannot be written.
    """
    with storage_errors(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(scratch / ".packing.lock"):
            stamp = _stamp(competition)
            known, note = _known(competition, scratch, stamp)
            return known or _pack_anew(competition, scratch, (workers, progress), (stamp, note))


def find_pack(competition: Competition, scratch: Path) -> Pack | None:
    """The pack of `competition` if it is there, sound and up to date; changes nothing."""
    return _known(competition, scratch, _stamp(competition))[0] if scratch.is_dir() else None


def estimate_pack(competition: Competition) -> tuple[int, float]:
    """Bytes a pack takes, and seconds to make it as extrapolated from decoding up to 128 files just now."""
    paths = [*competition.train["path"], *competition.test["path"]]
    some_paths = paths[:: max(1, len(paths) // FILES_A_CHUNK)][:FILES_A_CHUNK]
    start = time.perf_counter()
    for _ in decode_files(some_paths, 1):
        pass
    return _needed_bytes(competition), (time.perf_counter() - start) * len(paths) / len(some_paths)


def check_space(competition: Competition, scratch: Path) -> None:
    """Refuse if the disk that holds `scratch` has no room for the pack of `competition`.

    Raises:
        MachineRefusal: too little space.
    """
    needed, free = _needed_bytes(competition), shutil.disk_usage(nearest_existing(scratch)).free
    if free < needed + SPARE_BYTES:
        raise MachineRefusal(
            f"The decoded patches take {needed / 2**20:,.0f} MiB; the disk of {scratch} has "
            f"{free / 2**20:,.0f} MiB free.",
            f"{(needed + SPARE_BYTES) / 2**20:,.0f} MiB free",
            "free some space, or name another folder in HISTOBLEND_SCRATCH.",
        )


def _pack_anew(
    competition: Competition,
    scratch: Path,
    how: tuple[int, Progress | None],
    seen: tuple[str, str],
) -> Pack:
    check_space(competition, scratch)
    stamp, note = seen
    unfinished = scratch / f"{PARTIAL}-packing"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed; the lock says it is not at work
    unfinished.mkdir()
    start = time.perf_counter()
    try:
        fingerprint = _write(competition, unfinished, *how)
        note = _settle(unfinished, scratch / fingerprint, note)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _remember(competition, scratch, stamp, fingerprint)
    files = len(competition.train) + len(competition.test)
    made = f"{files:,} files decoded in {time.perf_counter() - start:.1f} s."
    return _open(scratch / fingerprint, f"{note} {made}".strip())


def _write(competition: Competition, folder: Path, workers: int, progress: Progress | None) -> str:
    """Decode everything into `folder`; returns the fingerprint."""
    tables = {"train": competition.train.sort_values("id"), "test": competition.test.sort_values("id")}
    total, done = sum(map(len, tables.values())), 0
    faults: list[tuple[str, str]] = []

    def seen(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    for part, table in tables.items():
        chunks = decode_files(list(table["path"]), max(FEWEST_THREADS, workers))
        told = write_images(folder / f"{part}.npy", len(table), chunks, seen)
        faults += [fault for chunk in told for fault in chunk.faults]
        tables[part] = table.assign(pixel_hash=[digest for chunk in told for digest in chunk.hashes])
    if faults:
        raise _unreadable(faults, total, folder.parent / "unreadable_files.csv")
    return write_index(folder, tables["train"], tables["test"])


def _unreadable(faults: list[tuple[str, str]], total: int, path: Path) -> DataRefusal:
    write_csv(path, pd.DataFrame(faults, columns=["path", "fault"]))
    return DataRefusal(
        f"{len(faults):,} of {total:,} files are no sound patches: "
        f"{some([f'{name} ({fault})' for name, fault in faults])}. All of them are listed in {path}.",
        "TIFF files of 96x96 pixels, three channels, 8 bits",
        "unpack the archives again; a file that is bad in the archive must leave its folder and its CSV.",
    )


def _settle(unfinished: Path, folder: Path, note: str) -> str:
    """Put the finished pack in its place; one that is there and sound stays, a damaged one is set aside."""
    if folder.exists():
        try:
            read_pack(folder, folder.name)
            return note
        except ArtifactRefusal as damage:
            aside = folder.with_name(f"{folder.name}-damaged-{time.time_ns()}")
            folder.replace(aside)
            note = f"{damage.found} It was moved to {aside.name} and made anew."
    unfinished.replace(folder)
    return note


def _open(folder: Path, note: str) -> Pack:
    train, test = read_pack(folder, folder.name)
    return Pack(folder, folder.name, train, test, note)


def _known(competition: Competition, scratch: Path, stamp: str) -> tuple[Pack | None, str]:
    """The pack these very files were packed into, if it is sound; else what is to be said about it."""
    record = _records(scratch).get(str(competition.root))
    if not isinstance(record, dict):
        return None, ""
    if record.get("stamp") != stamp:
        return None, "The files have changed since they were packed, so they were looked at again."
    folder = scratch / str(record.get("fingerprint"))
    try:
        if not folder.is_dir():
            raise damaged(folder, "it is gone")
        return _open(folder, "The files are unchanged since they were packed."), ""
    except ArtifactRefusal as damage:
        return None, damage.found


def _records(scratch: Path) -> dict[str, Any]:
    path = scratch / "packs.json"
    try:
        content = read_json(path) if path.is_file() else {}
    except ArtifactRefusal:
        return {}  # it only saves time: without it the files are decoded again
    return content if isinstance(content, dict) else {}


def _remember(competition: Competition, scratch: Path, stamp: str, fingerprint: str) -> None:
    records = _records(scratch)
    records[str(competition.root)] = {"stamp": stamp, "fingerprint": fingerprint}
    write_json(scratch / "packs.json", records)


def _stamp(competition: Competition) -> str:
    """Changes when a file is added, removed, resized or touched, or when a label changes."""
    digest = hashlib.blake2b(f"version {VERSION}".encode(), digest_size=16)
    for part in PARTS:
        with os.scandir(competition.root / part) as scan:
            lines = [f"{entry.name},{(s := entry.stat()).st_size},{s.st_mtime_ns}" for entry in scan]
        digest.update("\n".join([part, *sorted(lines)]).encode())
    train = competition.train
    digest.update("\n".join(sorted(train["id"] + "," + train["label"].astype(str))).encode())
    return digest.hexdigest()


def _needed_bytes(competition: Competition) -> int:
    return (len(competition.train) + len(competition.test)) * (PATCH_BYTES + INDEX_ROW_BYTES)
