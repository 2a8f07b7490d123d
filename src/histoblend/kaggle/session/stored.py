"""A session's output as it was handed back: packed in a tar, loose in a folder, or, where packing was cut, both.

A loose file wins over one in the tar: it is removed only after its copy is complete.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from histoblend.errors import ArtifactRefusal
from histoblend.workspace import PARTIAL, read_json, storage_errors

ARCHIVE = "histoblend-output.tar"
FOLDER = "histoblend-output"
"""The output folder during a run, and the folder inside the tar."""
RECORD = "session.json"
MARKERS = ("run.json", "experiments")
PICTURES = {"train", "test", "valid"}
DEPTH = (
    6  # input/datasets/<owner>/<slug>/<folder>/histoblend-output, and one for a tar that Kaggle has unpacked
)
END = 1024  # bytes of zeros that close a tar


@dataclass(frozen=True)
class StoredOutput:
    """Where a session's output lies, and what its session.json says (empty where there is none)."""

    place: Path
    archive: Path | None
    loose: Path | None
    record: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)
    damaged_record: str = ""
    """What is wrong with its session.json, where that cannot be read."""

    @functools.cached_property
    def members(self) -> dict[str, tarfile.TarInfo]:
        """Files of the tar by their name inside the output folder, as far as it can be read."""
        return dict(_members(self.archive)) if self.archive else {}

    @functools.cached_property
    def names(self) -> set[str]:
        """Every file of the output, by its name inside the output folder."""
        loose = output_files(self.loose) if self.loose else []
        return {*self.members, *loose}

    @functools.cached_property
    def finished(self) -> list[str]:
        """The experiment of each finished task, of whatever plan and settings."""
        paths = map(PurePosixPath, self.names)
        return sorted(path.parts[1] for path in paths if path.match("experiments/*/fold_*/done.json"))

    @property
    def provenance(self) -> dict[str, Any]:
        """What is kept of where it came from: of the session that made it, where another one handed it on."""
        if handed_on := self.record.get("handed_on"):
            return dict(handed_on)
        said = self.record.get("archive") or {}
        about = {
            key: self.record[key] for key in ("plan", "settings", "package", "started") if key in self.record
        }
        where = {"kind": "earlier output", "path": str(self.archive or self.loose)}
        return {**where, "sha256": said.get("sha256"), "bytes": said.get("bytes"), "session": about}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """One file, to be read."""
        if self.loose and (self.loose / name).is_file():
            with (self.loose / name).open("rb") as stream:
                yield stream
            return
        assert self.archive is not None
        with tarfile.open(self.archive, "r:") as tar:
            packed = tar.extractfile(self.members[name])
            assert packed is not None
            yield packed

    def read(self, name: str) -> bytes:
        """The content of one file."""
        with self.open(name) as stream:
            return stream.read()

    def copy(self, to: Path, keeps: Callable[[str], bool] = lambda name: True) -> None:
        """Write every file that `keeps` says yes to under `to`, which is new.

        Raises:
            MachineRefusal: the disk is full.
        """
        with storage_errors(to):
            to.mkdir(parents=True)
            if self.archive is not None:
                self._extract(self.archive, to, keeps)
            if self.loose is not None:
                for name in filter(keeps, output_files(self.loose)):
                    (to / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(
                        self.loose / name, to / name
                    )  # not its mode: Kaggle's inputs are read-only

    def _extract(self, archive: Path, to: Path, keeps: Callable[[str], bool]) -> None:
        with tarfile.open(archive, "r:") as tar:
            for name in filter(keeps, self.members):
                member = self.members[name]
                stream = tar.extractfile(member)
                assert stream is not None
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                with stream, (to / name).open("wb") as target:
                    shutil.copyfileobj(stream, target, 1 << 20)


def stored_in(place: Path) -> StoredOutput | None:
    """The output that lies in this very folder; None if there is none."""
    archive, loose = place / ARCHIVE, place / FOLDER
    if _is_output(place):
        return StoredOutput(place, None, place, *(_record(place.parent) if place.name == FOLDER else ()))
    packed = archive.is_file()
    if not packed and not (loose.is_dir() and (_is_output(loose) or (place / RECORD).is_file())):
        return None
    return StoredOutput(
        place, archive if packed else None, loose if loose.is_dir() else None, *_record(place)
    )


def find_stored(top: Path) -> list[StoredOutput]:
    """Every output under `top`; competitions, which hold hundreds of thousands of files, are not entered."""
    return list(_find(top, DEPTH))


def check_whole(stored: StoredOutput) -> None:
    """Check that nothing of it is missing or damaged, by what its session.json says and by the end of its tar.

    Raises:
        ArtifactRefusal: a tar was cut or changed, or files are missing.
    """
    if stored.damaged_record:
        raise _incomplete(stored, stored.damaged_record)
    said = stored.record.get("archive")
    if stored.archive is not None and (said or not stored.record):
        size = stored.archive.stat().st_size
        if said and said["bytes"] != size:
            raise _incomplete(stored, f"it has {size:,} bytes, and session.json says {said['bytes']:,}")
        if said and said["sha256"] != whole_hash(stored.archive):
            raise _incomplete(stored, "its bytes are not those that session.json gives the SHA-256 of")
        if not said and not _is_closed(stored.archive):
            raise _incomplete(stored, "its end is missing, and no session.json lies beside it")
    expected = said["files"] if said else stored.record.get("files")
    if expected is not None and len(stored.names) != expected:
        raise _incomplete(
            stored, f"{len(stored.names):,} files are there, and session.json says {expected:,}"
        )


def whole_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpacked_output(folder: Path, to: Path) -> Path:
    """Make an ordinary output folder of what a session handed back, whatever form it has.

    Args:
        folder: what was fetched: session.json, the tar, or a loose folder.
        to: filled; may hold other files already, such as a log.

    Returns:
        `to`.

    Raises:
        ArtifactRefusal: there is no output, several, or an incomplete one; or `to` holds one already.
    """
    if held := [marker for marker in MARKERS if (to / marker).exists()]:
        raise ArtifactRefusal(
            f"{to} holds an output already ({held[0]}).", "a folder without one", "name another folder."
        )
    direct = stored_in(folder)
    found = [direct] if direct else find_stored(folder)
    if len(found) != 1:
        listed = ", ".join(str(one.place) for one in found) or "nothing of that kind"
        raise ArtifactRefusal(
            f"{folder} holds {listed}.",
            f"one {ARCHIVE}, or one loose output folder",
            "name the folder with it.",
        )
    check_whole(found[0])
    temporary = to.with_name(f"{PARTIAL}-{os.getpid()}-{to.name}")
    try:
        found[0].copy(temporary)
        to.mkdir(parents=True, exist_ok=True)
        for entry in temporary.iterdir():
            entry.replace(to / entry.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return to


def _find(place: Path, depth: int) -> Iterator[StoredOutput]:
    if stored := stored_in(place):
        yield stored
        return
    if depth == 0 or not os.access(place, os.R_OK | os.X_OK):
        return
    if not _is_worth(place):
        return
    for name in sorted(entry.name for entry in os.scandir(place) if entry.is_dir()):
        yield from _find(place / name, depth - 1)


def _is_output(folder: Path) -> bool:
    return all((folder / marker).exists() for marker in MARKERS)


def _is_worth(place: Path) -> bool:
    return place.name not in PICTURES and not (place / "train_labels.csv").exists()


def _record(place: Path) -> tuple[dict[str, Any], str]:
    """Content of session.json, and what is wrong with it: one of many inputs stops nobody before it is chosen."""
    path = place / RECORD
    if not path.is_file():
        return {}, ""
    try:
        content = read_json(path)
    except ArtifactRefusal as refusal:
        return {}, refusal.found.rstrip(".")
    return (content, "") if isinstance(content, dict) else ({}, f"{path} holds no record")


def _members(archive: Path) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """(name inside the output folder, entry) of each whole file; a tar that was cut ends early."""
    size = archive.stat().st_size
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                whole = member.offset_data + member.size <= size
                if whole and member.isfile() and path.parts[0] == FOLDER and ".." not in path.parts:
                    yield str(path.relative_to(FOLDER)), member
    except tarfile.ReadError:
        return  # what is missing is found by `check_whole`, which knows how many files there were


def _is_closed(archive: Path) -> bool:
    with archive.open("rb") as stream:
        stream.seek(-min(END, archive.stat().st_size), os.SEEK_END)
        ending = stream.read()
    return len(ending) == END and not any(ending)


def output_files(folder: Path) -> list[str]:
    """Names of what is kept of an output folder: no pixels, no lock, nothing half written."""
    found = []
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [one for one in folders if one != "cache"]
        kept = [name for name in names if not name.startswith((PARTIAL, ".lock"))]
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in kept]
    return sorted(found)


def _incomplete(stored: StoredOutput, what: str) -> ArtifactRefusal:
    return ArtifactRefusal(
        f"{stored.archive or stored.loose} is incomplete: {what}.",
        "the whole output of a session",
        "fetch it again, or take the output of an earlier version.",
    )
