"""The decoding of a whole data set into the arrays of a pack: rows checked, odd and unreadable files told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from histoblend.competition.contract import Competition
from histoblend.config import DataSettings
from histoblend.data.array_files import ArrayFile, open_arrays
from histoblend.data.decode import Chunk, array_paths, decode_rows
from histoblend.data.fitting import Fitting
from histoblend.data.odd_files import UNREADABLE, odd_table
from histoblend.data.pack_files import PARTS, write_images, write_index
from histoblend.errors import DataRefusal, some
from histoblend.workspace import write_csv

FEWEST_THREADS = 4
"""On a mounted data set threads mostly wait for files: even one core gains from several."""

Progress = Callable[[int, int], None]
OddRow = tuple[str, str, str, str]


@dataclass(frozen=True)
class PackJob:
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


def write_parts(job: PackJob, folder: Path) -> tuple[str, pd.DataFrame]:
    """Decode everything into `folder`; returns the fingerprint and the table of odd files.

    Raises:
        DataRefusal: unreadable files that are to stop the run, or arrays and labels that do not belong together.
    """
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
    """Each listed row of an array file is there and listed once: else labels and pictures do not belong together.

    That there are as many labels as pictures is for the reader of the layout to check: an audit leaves rows of
    unsound labels out.
    """
    listed = pd.concat([competition.train[["path", "row"]], competition.test[["path", "row"]]])
    for path, array in arrays.items():
        rows = listed["row"][listed["path"] == path]
        wrong = rows[rows.duplicated() | (rows < 0) | (rows >= len(array))]
        if len(wrong):
            raise DataRefusal(
                f"{path} has {len(array):,} pictures; labels or ids name rows twice or beyond them: row "
                f"{some(sorted(wrong))}.",
                "at most one label or id for each row",
                "use the files that belong together.",
            )


def _refuse_unreadable(job: PackJob, odd_files: pd.DataFrame) -> None:
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
