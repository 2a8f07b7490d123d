"""Folders of patches listed in one pass each: 277,000 files take about a second."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from histoblend.errors import DataRefusal, some

SUFFIXES = (".tif", ".tiff")
CLUTTER = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class _Entries:
    patches: list[str]
    folders: list[str]
    strays: list[str]


def list_patches(folder: Path) -> dict[str, str]:
    """The patch files of `folder`: id (the name without ``.tif``) to path.

    Hidden files and what Windows and macOS leave behind are passed over.

    Raises:
        DataRefusal: the folder is missing, a file instead, unreadable or empty; it holds subfolders or files
            that are no patches; two files share one id.
    """
    entries = _entries(folder)
    _check_kinds(folder, entries)
    files: dict[str, str] = {}
    shared, prefix = (
        [],
        f"{folder}{os.sep}",
    )  # joining 277,000 Path objects would take longer than listing them
    for name in sorted(entries.patches):
        patch = name.rpartition(".")[0]
        if patch in files:
            shared.append(name)
        files[patch] = prefix + name
    if shared:
        raise DataRefusal(
            f"{len(shared):,} files in {folder} share their id with another file: {some(shared)}.",
            "one file per id",
            "move one of each pair away.",
        )
    return files


def packed_hint(folder: Path) -> str:
    """A sentence on the archive that still holds `folder`, where one lies beside it; else nothing."""
    for name in (f"{folder.name}.zip", f"{folder.name}.tar.gz", "histopathologic-cancer-detection.zip"):
        if (folder.parent / name).is_file():
            return f"{folder.parent / name} is still packed: unpack it there."
    return ""


def _entries(folder: Path) -> _Entries:
    found = _Entries([], [], [])
    try:
        with os.scandir(folder) as scan:
            for entry in scan:
                if entry.name.startswith(".") or entry.name.lower() in CLUTTER:
                    continue
                if entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                    found.patches.append(entry.name)
                else:
                    (found.folders if entry.is_dir() else found.strays).append(entry.name)
    except OSError as error:
        raise DataRefusal(
            f"{folder} cannot be listed: {error.strerror or error}.",
            "a folder of .tif patches",
            packed_hint(folder) or "check the path and the permissions.",
        ) from error
    return found


def _check_kinds(folder: Path, entries: _Entries) -> None:
    if not entries.patches:
        inside = some(sorted(entries.folders) + sorted(entries.strays)) or "nothing"
        raise DataRefusal(
            f"{folder} is empty of patches: it holds {inside}.",
            "<id>.tif files lying directly in it",
            packed_hint(folder) or "unpack the archive of the competition again.",
        )
    others = sorted(entries.folders) + sorted(entries.strays)
    if others:
        raise DataRefusal(
            f"{folder} holds {len(others):,} entries that are no patches: {some(others)}.",
            "only <id>.tif files (a broken link or an unfinished download is none)",
            "move them away.",
        )
