"""Which layout a folder has, told by its marker files and the names of its folders, never by listing it all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from histoblend.competition.contract import HCD, IMAGE_FOLDERS, NPY, PCAM

PICTURE_FORMATS = {
    "TIFF": (".tif", ".tiff"),
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}
"""Every format that is decoded, as Pillow calls it, with the suffixes of its files."""
PICTURE_SUFFIXES = tuple(suffix for suffixes in PICTURE_FORMATS.values() for suffix in suffixes)
PICTURES_THAT_END_A_SEARCH = 20
CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
TRAIN_AND_VALID = "train+val"  # the folder of the TU/e course
PARTS = frozenset({"train", "valid", "val", "test", TRAIN_AND_VALID})
PCAM_MARKERS = frozenset(
    f"camelyonpatch_level_2_split_train_{array}.h5{packed}" for array in "xy" for packed in ("", ".gz")
)


@dataclass(frozen=True)
class Folder:
    """What a folder holds, pictures aside, and its layout if it has one."""

    path: Path
    files: frozenset[str]
    folders: tuple[str, ...]
    layout: str | None


def look_into(path: Path) -> Folder | None:
    """What `path` holds; None for a folder of pictures, which is left as soon as it shows to be one."""
    files, folders, pictures = set(), [], 0
    try:
        for entry in visible(path):
            if entry.is_dir():
                folders.append(entry.name)
            elif is_picture(entry.name):
                pictures += 1
            else:
                files.add(entry.name)
            if pictures > PICTURES_THAT_END_A_SEARCH:
                return None
    except PermissionError:
        return None
    return Folder(path, frozenset(files), tuple(sorted(folders)), _layout(path, files, folders))


def layout_of(path: Path) -> str | None:
    """The layout of a folder that was named: one found anywhere, or class folders and nothing else."""
    folder = look_into(path) if path.is_dir() else None
    if folder is not None and folder.layout is not None:
        return folder.layout
    return IMAGE_FOLDERS if are_class_folders(path) else None


def are_class_folders(path: Path) -> bool:
    """Whether `path` holds class folders directly: two or more, none named as a part is, pictures in them."""
    folder = look_into(path) if path.is_dir() else None
    if folder is None or len(folder.folders) < 2 or PARTS & set(folder.folders):
        return False
    held = [_first(path / name) for name in folder.folders]
    return "picture" in held and "other" not in held


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def visible(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The entries of `folder` without hidden ones and what Windows and macOS leave behind."""
    with os.scandir(folder) as scan:
        for entry in scan:
            if not entry.name.startswith(".") and entry.name.lower() not in CLUTTER:
                yield entry


def _layout(path: Path, files: set[str], folders: list[str]) -> str | None:
    if "train_labels.csv" in files and "train" in folders:
        return HCD
    if PCAM_MARKERS & files:
        return PCAM
    if {"train.npy", "labels.npy"} <= files:
        return NPY
    for base in (path, path / TRAIN_AND_VALID):
        if base.is_dir() and _holds_classes(base / "train"):
            return IMAGE_FOLDERS
    return None


def _holds_classes(folder: Path) -> bool:
    """Whether `folder` holds folders of pictures; left as soon as it shows to hold the pictures itself."""
    if not folder.is_dir():
        return False
    folders, pictures = [], 0
    try:
        for entry in visible(folder):
            if entry.is_dir():
                folders.append(entry.name)
            pictures += is_picture(entry.name)
            if pictures > PICTURES_THAT_END_A_SEARCH:
                return False
        return any(_first(folder / name) == "picture" for name in folders if name not in PARTS)
    except PermissionError:
        return False


def _first(folder: Path) -> str:
    """``picture`` as soon as one is found in `folder`, ``nothing`` where it is empty, else ``other``."""
    found = "nothing"
    try:
        for entry in visible(folder):
            if is_picture(entry.name) and entry.is_file():
                return "picture"
            found = "other"
    except PermissionError:
        return "other"
    return found
