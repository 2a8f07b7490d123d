"""Tasks of an output folder as one tar that a session goes on from: the same folder gives the same bytes."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, cast

from histoblend.competition.contract import PCAM
from histoblend.errors import ArtifactRefusal, counted
from histoblend.kaggle.assets.manifest import Asset
from histoblend.kaggle.session.stored import ARCHIVE, FOLDER, output_files
from histoblend.workspace import Workspace, read_json, storage_errors

KEPT = ("run.json", "folds.csv", "folds.json", "patches.csv", "submissions.csv", "experiments", "ensembles")
"""What a session goes on from; pages, plots, the pixel cache and pulled kernels stay here."""


def earlier_output(workspace: Workspace) -> Asset:
    """The tar of an output folder as it would be written; read once for its hash, nothing is written.

    Raises:
        ArtifactRefusal: no run was made there, or it was a run on PCam.
    """
    check_sendable(workspace)
    names = kept_files(workspace.folder)
    counter = _Hashing()
    members = _write(workspace.folder, names, counter)
    tasks = sum(name.endswith("/done.json") for name in names)
    note = f"{counted(len(names), 'file')}, {counted(tasks, 'finished task')}"
    return Asset("earlier output", ARCHIVE, counter.size, counter.sha256, workspace.folder, members, note)


def check_sendable(workspace: Workspace) -> None:
    """Refuse what no session can or may go on from.

    Raises:
        ArtifactRefusal: no run was made there, or it was a run on PCam.
    """
    if not workspace.run_record.exists() or not workspace.experiments.is_dir():
        raise ArtifactRefusal(
            f"{workspace.folder} holds no output of a run.",
            "run.json and experiments/ in the folder that --output names",
            "name the folder of a run, or leave --output out: nothing earlier is sent then.",
        )
    if read_json(workspace.run_record)["data"].get("layout") == PCAM:
        raise ArtifactRefusal(
            f"{workspace.folder} is the output of a run on PCam, which holds this competition's test patches with "
            "their labels.",
            "networks that learned from the competition's own training patches",
            "name another output folder.",
        )


def write_tar(asset: Asset, to: Path) -> None:
    """Write the tar.

    Raises:
        ArtifactRefusal: the folder has changed since it was hashed; MachineRefusal: the disk is full.
    """
    with storage_errors(to), to.open("wb") as stream:
        hashing = _Hashing(stream)
        _write(asset.source, kept_files(asset.source), hashing)
    if hashing.sha256 != asset.sha256:
        raise ArtifactRefusal(
            f"{asset.source} changed while it was packed.", "an output folder no run works in", "try again."
        )


def kept_files(folder: Path) -> list[str]:
    """Names of the files that go along, sorted."""
    return [name for name in output_files(folder) if name.split("/")[0] in KEPT]


def _write(folder: Path, names: Iterable[str], to: _Hashing) -> dict[str, int]:
    """The tar, to a stream; size of each file in it by name. Owners, times and modes are left out."""
    members: dict[str, int] = {}
    with tarfile.open(fileobj=cast(IO[bytes], to), mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size = members[entry.name] = (folder / name).stat().st_size
            with (folder / name).open("rb") as stream:
                tar.addfile(entry, stream)
    return members


class _Hashing:
    """A stream that counts and hashes what is written to it, and passes it on where there is somewhere to."""

    def __init__(self, to: IO[bytes] | None = None) -> None:
        self._hash, self.size = hashlib.sha256(), 0
        self._pass_on: Callable[[bytes], int] = to.write if to is not None else len

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._pass_on(data)

    def tell(self) -> int:
        return self.size
