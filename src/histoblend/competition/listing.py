"""Folders of patches listed in one pass each: 277,000 files take about a second."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from histoblend.competition.door import Door
from histoblend.competition.recognise import PICTURE_SUFFIXES, is_picture, visible
from histoblend.errors import DataRefusal, some

SUFFIXES_IN_WORDS = ", ".join(PICTURE_SUFFIXES)


@dataclass(frozen=True)
class Entries:
    """Names of what lies in a folder: pictures, folders, anything else."""

    patches: list[str]
    folders: list[str]
    strays: list[str]


def list_patches(folder: Path, door: Door) -> dict[str, str]:
    """The picture files of `folder`: id (the name without its suffix) to path, sorted.

    Hidden files and what Windows and macOS leave behind are passed over. With a lenient door subfolders and other
    files are passed over too, and of files that share an id the first is taken.

    Raises:
        DataRefusal: the folder is missing, a file instead, unreadable or empty; it holds subfolders or files
            that are no patches; two files share one id; a name is no UTF-8 text.
    """
    entries = list_entries(folder)
    _check_kinds(folder, entries, door)
    files: dict[str, str] = {}
    shared: list[str] = []
    prefix = f"{folder}{os.sep}"  # joining 277,000 Path objects would take longer than listing them
    for name in sorted(_check_names(folder, entries.patches, door)):
        patch = name.rpartition(".")[0]
        if patch in files:
            shared.append(name)
        else:
            files[patch] = prefix + name
    if shared:
        door.refuse(
            DataRefusal(
                f"{len(shared):,} files in {folder} share their id with another file: {some(shared)}.",
                "one file per id",
                "move one of each pair away.",
            )
        )
    return files


def packed_hint(folder: Path) -> str:
    """A sentence on the archive that still holds `folder`, where one lies beside it; else nothing."""
    for name in (f"{folder.name}.zip", f"{folder.name}.tar.gz", "histopathologic-cancer-detection.zip"):
        if (folder.parent / name).is_file():
            return f"{folder.parent / name} is still packed: unpack it there."
    return ""


def list_entries(folder: Path) -> Entries:
    """The names of what lies in `folder`.

    Raises:
        DataRefusal: the folder is missing, a file instead, or unreadable.
    """
    found = Entries([], [], [])
    try:
        for entry in visible(folder):
            if is_picture(entry.name) and entry.is_file():
                found.patches.append(entry.name)
            else:
                (found.folders if entry.is_dir() else found.strays).append(entry.name)
    except OSError as error:
        raise DataRefusal(
            f"{folder} cannot be listed: {error.strerror or error}.",
            "a folder of picture files",
            packed_hint(folder) or "check the path and the permissions.",
        ) from error
    return found


def _check_kinds(folder: Path, entries: Entries, door: Door) -> None:
    others = sorted(entries.folders) + sorted(entries.strays)
    if not entries.patches:
        door.refuse(
            DataRefusal(
                f"{folder} is empty of patches: it holds {some(others) or 'nothing'}.",
                f"picture files ({SUFFIXES_IN_WORDS}) lying directly in it",
                packed_hint(folder) or "unpack the archive of the competition again.",
            )
        )
    elif others:
        door.refuse(
            DataRefusal(
                f"{folder} holds {len(others):,} entries that are no patches: {some(others)}.",
                f"only picture files ({SUFFIXES_IN_WORDS}; a broken link or an unfinished download is none)",
                "move them away.",
            )
        )


def _check_names(folder: Path, names: list[str], door: Door) -> list[str]:
    """Refuse names that no table could hold: on Linux a name may be any bytes."""
    try:
        "".join(names).encode()  # all at once: this is rarely the case, and there may be 277,000
    except UnicodeEncodeError:
        shown = [ascii(name) for name in names if not _is_text(name)]
        door.refuse(
            DataRefusal(
                f"{folder} holds {len(shown):,} files whose names are no UTF-8 text: {some(shown)}.",
                "names that can be written into a table of ids",
                "rename them.",
            )
        )
        return [name for name in names if _is_text(name)]
    return names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
