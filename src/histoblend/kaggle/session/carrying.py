"""The package and its configs as one compressed archive: the same files give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from histoblend.errors import MachineRefusal

PACKAGE = Path(__file__).parents[2]
SUFFIXES = {".py", ".yaml", ".html", ".css", ".js"}
"""What the package and configs consist of; anything else beside them (caches, schemas) stays here."""


@dataclass(frozen=True)
class Carried:
    """The archive and what is in it, as (name, bytes) of each file."""

    archive: bytes
    files: list[tuple[str, int]]

    @property
    def sha256(self) -> str:
        """Of the compressed bytes."""
        return hashlib.sha256(self.archive).hexdigest()

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that identify package and configs."""
        return self.sha256[:12]


def carry(configs: Path) -> Carried:
    """Pack the package this process runs from, its pyproject.toml and `configs`.

    Raises:
        MachineRefusal: what the package requires is not to be found.
    """
    contents = sorted(_contents(configs))
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents:
            entry = tarfile.TarInfo(name)  # owner, time and mode as TarInfo has them: the same everywhere
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    archive = lzma.compress(plain.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    return Carried(archive, [(name, len(content)) for name, content in contents])


def _contents(configs: Path) -> Iterator[tuple[str, bytes]]:
    for name, top in (("src/histoblend", PACKAGE), ("configs", configs)):
        for path in top.rglob("*"):
            if path.suffix in SUFFIXES and path.is_file():
                yield f"{name}/{path.relative_to(top).as_posix()}", path.read_bytes()
    project = PACKAGE.parents[1] / "pyproject.toml"
    yield "pyproject.toml", project.read_bytes() if project.is_file() else _installed_requirements()


def _installed_requirements() -> bytes:
    """A pyproject.toml in small, of an installed package, which has none: the session looks up what it requires."""
    try:
        required = metadata.requires("histoblend") or []
    except metadata.PackageNotFoundError as error:
        raise MachineRefusal(
            f"{PACKAGE} has no pyproject.toml above it and is not installed: what it requires is not known.",
            "a checkout or an installed package",
            "run from a checkout, or `pip install .` in one.",
        ) from error
    own = [one for one in required if "extra ==" not in one]
    return f"[project]\ndependencies = {json.dumps(own)}\n".encode()
