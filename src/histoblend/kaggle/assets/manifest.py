"""What the dataset consists of, and what Kaggle lists compared with it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from histoblend.workspace import fingerprint

MANIFEST = re.compile(r"manifest-[0-9a-f]{12}\.json")


@dataclass(frozen=True)
class Asset:
    """One file of the dataset.

    Attributes:
        kind: ``slide map``, ``weights`` or ``earlier output``.
        name: its name in the dataset.
        size: in bytes.
        sha256: of its bytes.
        source: the file, or the output folder that is packed into it.
        members: of a tar, the size of each file in it by its name; Kaggle may unpack it.
        note: for people: what it is for.
    """

    kind: str
    name: str
    size: int
    sha256: str
    source: Path
    members: Mapping[str, int] = field(default_factory=dict, hash=False)
    note: str = ""


@dataclass(frozen=True)
class Manifest:
    """The list of files that goes along; its name holds the hash of what it says.

    So Kaggle's list of names and sizes alone tells whether a dataset is up to date.
    """

    assets: tuple[Asset, ...]

    @property
    def name(self) -> str:
        """``manifest-<12 hex digits>.json``."""
        return f"manifest-{fingerprint(self._content())}.json"

    @property
    def text(self) -> str:
        """The file itself: no date in it, so that the same files have the same manifest."""
        return json.dumps(self._content(), indent=2, sort_keys=True) + "\n"

    @property
    def size(self) -> int:
        """Bytes of all files and of the manifest."""
        return sum(asset.size for asset in self.assets) + len(self.text.encode())

    def _content(self) -> dict[str, object]:
        files = {one.name: {"kind": one.kind, "sha256": one.sha256, "bytes": one.size} for one in self.assets}
        return {"histoblend": "assets", "files": files}

    def compared(self, listed: Mapping[str, int]) -> list[str]:
        """What is wrong with the files that Kaggle lists, in words; nothing where all is as it was sent."""
        expected = {asset.name: asset.size for asset in self.assets} | {self.name: len(self.text.encode())}
        wrong, left = [], dict(listed)
        for asset in self.assets:
            if asset.members and asset.name not in listed:
                wrong += _compared_members(asset, left)
                expected.pop(asset.name)
        for name, size in expected.items():
            found = left.pop(name, None)
            if found is None:
                wrong.append(f"{name} is missing")
            elif found != size:
                wrong.append(f"{name} has {found:,} bytes, not {size:,}")
        return [*wrong, *(f"{name} was not sent" for name in sorted(left))]

    def unsent(self, listed: Mapping[str, int]) -> list[str]:
        """Files and unpacked archives that Kaggle lists and that a new version would no longer hold."""
        kept = {name for asset in self.assets for name in (asset.name, PurePosixPath(asset.name).stem)}
        tops = {PurePosixPath(name).parts[0] for name in listed}
        return sorted(top for top in tops if top not in kept and not MANIFEST.fullmatch(top))


def _compared_members(asset: Asset, left: dict[str, int]) -> list[str]:
    """The same of a tar that Kaggle has unpacked into a folder; its files are taken out of `left`."""
    stem = PurePosixPath(asset.name).stem
    inside = {name: size for name, size in left.items() if PurePosixPath(name).parts[0] == stem}
    if not inside:
        return [f"{asset.name} is missing"]
    for name in inside:
        del left[name]
    same = sorted(_ends(inside)) == sorted(_ends(asset.members))
    return [] if same else [f"{asset.name}, unpacked there, has other files or sizes"]


def _ends(sizes: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    """Last parts of the names with the sizes: how many folders an unpacking adds is not told."""
    return [(PurePosixPath(name).name, size) for name, size in sizes.items()]
