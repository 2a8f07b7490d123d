"""The picture files that were named: each file itself, each folder with everything in it that is a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from histoblend.data.pictures import SUFFIXES
from histoblend.errors import DataRefusal

PICTURE_SUFFIXES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
MAP_SUFFIX, TILES_SUFFIX = (
    ".map.png",
    ".tiles.csv",
)  # of what a prediction writes, after the picture's own name
RESULT_SUFFIXES = (MAP_SUFFIX, TILES_SUFFIX)


@dataclass(frozen=True)
class PictureFile:
    """One picture to predict.

    Attributes:
        path: the file.
        name: how it is called in tables: as it was named, or its path inside the folder that was; unique.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Listed:
    """The pictures found, and how many files of the folders are none by their suffix."""

    pictures: tuple[PictureFile, ...]
    others: int


def list_pictures(named: Sequence[Path]) -> Listed:
    """Pictures of files and folders (subfolders too, hidden files not), in the order named, folders sorted.

    A file that is named itself is taken whatever its suffix; in a folder the suffix decides. Maps of an earlier
    prediction are no pictures.

    Raises:
        DataRefusal: a path does not exist, or there is no picture at all.
    """
    if missing := [str(path) for path in named if not path.exists()]:
        raise DataRefusal(
            f"There is no {' and no '.join(missing)}.", "picture files or folders", "check the path."
        )
    found: dict[Path, str] = {}
    others = 0
    for path in named:
        if not path.is_dir():
            found.setdefault(path.resolve(), str(path))
            continue
        for file in _files(path):
            if file.suffix.lower() in PICTURE_SUFFIXES:
                found.setdefault(file.resolve(), _name(file, path, named))
            else:
                others += 1
    if not found:
        raise DataRefusal(
            f"There is no picture in {', '.join(map(str, named))} ({others:,} other files).",
            f"files that end in {', '.join(PICTURE_SUFFIXES)}",
            "name another folder, or the files themselves.",
        )
    return Listed(tuple(PictureFile(path, name) for path, name in found.items()), others)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and not path.name.endswith(RESULT_SUFFIXES):
            yield path


def _name(file: Path, folder: Path, named: Sequence[Path]) -> str:
    """The path inside the folder, led by the folder where several things were named."""
    inner = file.relative_to(folder)
    return inner.as_posix() if len(named) == 1 else (folder / inner).as_posix()
