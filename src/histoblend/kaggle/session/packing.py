"""What a session hands back: the submission and a few pages to look at, and all else in one tar.

The run works in working/histoblend-output, because Kaggle keeps working/ and nothing else: whether it does so for a
session that was killed at its twelfth hour is not documented, but if it does, what was finished lies there. Packing
follows, for Kaggle refuses outputs of very many files and older clients fetch the first page alone. Each file is
removed as soon as its copy in the tar is complete: packing needs room for the largest file, not for all of them again;
where it is cut, tar and folder together are the output still, and are read as such (`stored`). Hence a tar that is
there already is only ever appended to.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histoblend.kaggle.session.stored import (
    ARCHIVE,
    FOLDER,
    RECORD,
    StoredOutput,
    check_whole,
    output_files,
    stored_in,
    whole_hash,
)
from histoblend.workspace import atomic_write, read_json, storage_errors, write_json

ON_TOP = {
    "submission.csv": "submission.csv",
    "submission_alternative.csv": "submission_alternative.csv",
    "ranking.csv": "ranking.csv",
    "report/index.html": "report.html",
}
"""Files of the output folder that lie unpacked beside the tar too, and their names there."""


def session_record(working: Path) -> dict[str, Any]:
    """The content of working/session.json; empty where there is none."""
    path = working / RECORD
    return dict(read_json(path)) if path.exists() else {}


def note_session(working: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `content` over session.json and write it."""
    record = session_record(working) | dict(content)
    write_json(working / RECORD, record)
    return record


def put_on_top(working: Path) -> None:
    """Copy what people look for first to the top of the working folder."""
    if not (working / FOLDER).is_dir():  # the run stopped before it had one; what an earlier one left stays
        return
    with storage_errors(working):
        for name, on_top in ON_TOP.items():
            (working / on_top).unlink(missing_ok=True)  # one of an earlier run in the same notebook
            if (working / FOLDER / name).is_file():
                shutil.copyfile(working / FOLDER / name, working / on_top)


def pack_output(working: Path) -> dict[str, Any] | None:
    """Move the output folder into the tar, file by file; what session.json then says of it, None where there is none.

    Raises:
        MachineRefusal: the disk is full; nothing is lost, tar and folder are the output together.
    """
    folder, archive = working / FOLDER, working / ARCHIVE
    stored = stored_in(working)
    if stored is None or not output_files(folder):
        return None
    names = stored.names  # of a tar that is there too: packing was cut before
    note_session(working, {"files": len(names), "archive": None})
    with storage_errors(archive):
        move_into_tar(stored, folder, archive)
        shutil.rmtree(folder)  # a lock, what was half written, empty folders
    about = {
        "name": ARCHIVE,
        "bytes": archive.stat().st_size,
        "files": len(names),
        "sha256": whole_hash(archive),
    }
    note_session(working, {"archive": about})
    return about


def move_into_tar(stored: StoredOutput, folder: Path, archive: Path) -> None:
    """Append each loose file after the last whole one in the tar; remove it once its copy is complete."""
    ends = [member.offset_data + member.size for member in stored.members.values()]
    with archive.open("ab") as stream:
        stream.truncate(-(-max(ends, default=0) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        stream.seek(0, os.SEEK_END)
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name in output_files(folder):
                tar.add(folder / name, f"{FOLDER}/{name}", recursive=False)
                stream.flush()
                (folder / name).unlink()


def gather(working: Path) -> None:
    """Make a loose folder of an earlier run's tar in the same working folder: a notebook's cell run again.

    File by file from the tar's end, which is cut off behind each: at any moment tar and folder together are whole,
    and take the room of one. What was only handed on is dropped: it is still among the inputs, and chosen there anew.
    """
    archive, folder = working / ARCHIVE, working / FOLDER
    if session_record(working).get("handed_on"):
        shutil.rmtree(folder, ignore_errors=True)
    elif archive.exists():
        _unpack_in_place(working, folder, archive)
    else:
        return
    archive.unlink(missing_ok=True)
    note_session(working, {"archive": None, "files": None, "handed_on": None})


def _unpack_in_place(working: Path, folder: Path, archive: Path) -> None:
    stored = stored_in(working)
    assert stored is not None
    check_whole(stored)
    loose = set(output_files(folder))  # of packing that was cut: it wins over what the tar holds
    note_session(working, {"archive": None, "files": len(stored.names)})
    last_first = sorted(stored.members.items(), key=lambda item: -item[1].offset)
    with storage_errors(folder), archive.open("r+b") as stream:
        for name, member in last_first:
            if name not in loose:
                with (
                    stored.open(name) as packed,
                    atomic_write(folder / name) as temporary,
                    temporary.open("wb") as target,
                ):
                    shutil.copyfileobj(packed, target, 1 << 20)
            stream.truncate(member.offset)
