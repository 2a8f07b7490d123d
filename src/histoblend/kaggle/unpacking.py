"""An archive unpacked so that it can be broken off anywhere: each file appears whole, and what is whole is skipped."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISLNK

from histoblend.errors import DataRefusal, MachineRefusal, counted, some
from histoblend.workspace import PARTIAL, nearest_existing, storage_errors

SPARE_BYTES = 256 * 2**20  # left free on the disk
FILE_BYTES = 4096  # that a small file takes more than its length, at most
CHUNK = 2**20


class Damaged(Exception):
    """An archive that is not whole; worth fetching anew."""


@dataclass(frozen=True)
class Unpacked:
    """What an archive holds: files, bytes, and names at its top; how many of the files lay there whole already."""

    files: int
    bytes: int
    kept: int
    tops: tuple[str, ...]


def unpack(archive: Path, folder: Path, count: Callable[[int, int], None]) -> Unpacked:
    """Unpack `archive` into `folder`, those files first that lie in no folder of it: the tables, against which the
    others are checked.

    Raises:
        Damaged: it is no zip file, cut short, without a file, or a file in it does not have its checksum.
        DataRefusal: a name in it leads out of `folder`.
        MachineRefusal: no room, or the folder cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if not members:
                raise Damaged(f"{archive.name} holds no file")
            _check_names(members, archive)
            members.sort(key=lambda member: (member.filename.count("/"), member.filename))
            _check_room(members, folder)
            kept = 0
            for done, member in enumerate(members, 1):
                kept += _one(opened, member, folder / member.filename)
                count(done, len(members))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged(f"{archive.name}: {error}") from error
    tops = sorted({PurePosixPath(member.filename).parts[0] for member in members})
    return Unpacked(len(members), sum(member.file_size for member in members), kept, tuple(tops))


def _check_names(members: list[zipfile.ZipInfo], archive: Path) -> None:
    outside = [member.filename for member in members if not _stays_inside(member)]
    if outside:
        raise DataRefusal(
            f"{archive} holds {counted(len(outside), 'file')} that would be written elsewhere: {some(outside)}.",
            "names inside the folder, and no links",
            "do not use this archive: it is not what Kaggle hands out. Delete it, then the same command again.",
        )


def _stays_inside(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    drive = ":" in name.parts[0] if name.parts else True
    return not (name.is_absolute() or ".." in name.parts or drive or S_ISLNK(member.external_attr >> 16))


def _check_room(members: list[zipfile.ZipInfo], folder: Path) -> None:
    missing = [member for member in members if not _has_size(folder / member.filename, member.file_size)]
    needed = sum(member.file_size + FILE_BYTES for member in missing)
    check_room(needed, folder, "The unpacked files take")


def check_room(needed: int, folder: Path, what: str) -> None:
    """Refuse where the disk of `folder` has no room for `needed` bytes.

    Raises:
        MachineRefusal: it has not.
    """
    free = shutil.disk_usage(nearest_existing(folder)).free
    if needed and free < needed + SPARE_BYTES:
        raise MachineRefusal(
            f"{what} {needed / 2**20:,.0f} MiB; the disk of {folder} has {free / 2**20:,.0f} MiB free.",
            f"{(needed + SPARE_BYTES) / 2**20:,.0f} MiB free",
            "free some space, or name a folder on another disk with --to; the same command then goes on.",
        )


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _one(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> bool:
    """Write one file under a name of its own and rename it; True where it lay there whole.

    None is flushed to disk by itself, which would take hours for hundreds of thousands: what a power cut destroys is
    found by its checksum when the command is repeated, as long as the archive is there.
    """
    if _has_size(path, member.file_size) and _checksum(path) == member.CRC:
        return True
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{PARTIAL}-{path.name}")
    try:
        with opened.open(member) as source, storage_errors(path), temporary.open("wb") as target:
            while data := source.read(CHUNK):
                target.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return False


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as stream:
        while data := stream.read(CHUNK):
            value = zlib.crc32(data, value)
    return value
