"""What a session hands back: the submission and a few pages to look at, and all else in one tar.

The run works in working/histoblend-output, because Kaggle keeps working/ and nothing else: whether it does so for a
session that was killed at its twelfth hour is not documented, but if it does, what was finished lies there. Packing
follows, for Kaggle refuses outputs of very many files and older clients fetch the first page alone. Each file is
removed as soon as its copy in the tar is complete: packing needs room for the largest file, not for all of them again;
where it is cut, tar and folder together are the output still, and are read as such (`stored`).
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histoblend.kaggle.session.stored import (
    ARCHIVE,
    FOLDER,
    RECORD,
    check_whole,
    output_files,
    stored_in,
    whole_hash,
)
from histoblend.workspace import PARTIAL, Workspace, read_json, storage_errors, write_json

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
    workspace = Workspace(working / FOLDER)
    names = output_files(workspace.folder)
    if not names:
        return None
    note_session(working, {"files": len(names), "archive": None})
    archive = working / ARCHIVE
    with storage_errors(archive):
        move_into_tar(workspace.folder, names, archive)
        shutil.rmtree(workspace.folder)  # a lock, what was half written, empty folders
    about = {
        "name": ARCHIVE,
        "bytes": archive.stat().st_size,
        "files": len(names),
        "sha256": whole_hash(archive),
    }
    note_session(working, {"archive": about})
    return about


def move_into_tar(folder: Path, names: list[str], archive: Path) -> None:
    """Append each file to the tar and remove it once its copy is complete."""
    with archive.open("wb") as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for name in names:
            tar.add(folder / name, f"{FOLDER}/{name}", recursive=False)
            stream.flush()
            (folder / name).unlink()


def gather(working: Path) -> None:
    """Make a loose folder of an earlier run's tar in the same working folder: a notebook's cell run again."""
    archive, folder = working / ARCHIVE, working / FOLDER
    if not archive.exists():
        return
    stored = stored_in(working)
    assert stored is not None
    check_whole(stored)
    temporary = working / f"{PARTIAL}-{FOLDER}"
    shutil.rmtree(temporary, ignore_errors=True)
    stored.copy(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    archive.unlink()
    note_session(working, {"archive": None, "files": None})
