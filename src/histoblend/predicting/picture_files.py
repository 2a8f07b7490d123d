"""The picture files that were named: each file itself, each folder with everything in it that is a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from histoblend.competition.recognise import PICTURE_SUFFIXES, is_picture
from histoblend.errors import DataRefusal

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
        place: where results of it go, inside their folder, before their suffixes; unique.
    """

    path: Path
    name: str
    place: Path


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
    found: dict[Path, tuple[str, Path]] = {}
    others = 0
    for path in named:
        if not path.is_dir():
            found.setdefault(path.resolve(), (str(path), Path(path.name)))
            continue
        for file in _files(path):
            if is_picture(file.name):
                inner = (
                    file.relative_to(path) if len(named) == 1 else Path(path.name) / file.relative_to(path)
                )
                name = inner.as_posix() if len(named) == 1 else str(file)
                found.setdefault(file.resolve(), (name, inner))
            else:
                others += 1
    if not found:
        raise DataRefusal(
            f"There is no picture in {', '.join(map(str, named))} ({others:,} other files).",
            f"files that end in {', '.join(PICTURE_SUFFIXES)}",
            "name another folder, or the files themselves.",
        )
    return Listed(tuple(_with_places(found)), others)


def _with_places(found: Mapping[Path, tuple[str, Path]]) -> Iterator[PictureFile]:
    """Number the places that several pictures would share: files of one name in folders of their own."""
    taken: set[Path] = set()
    for path, (name, wanted) in found.items():
        candidates = (
            wanted if n == 1 else wanted.with_name(f"{wanted.stem}-{n}{wanted.suffix}") for n in count(1)
        )
        place = next(one for one in candidates if one not in taken)
        taken.add(place)
        yield PictureFile(path, name, place)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and not path.name.endswith(RESULT_SUFFIXES):
            yield path
