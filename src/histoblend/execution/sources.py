"""What a run was made from: the data's tables, the slide map and the weights files, each with the hash of its bytes.

Pictures are not hashed here: the data's fingerprint is a hash of all decoded pixels and labels, made while packing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from histoblend.competition.contract import Competition
from histoblend.competition.recognise import look_into
from histoblend.config import FoldSettings
from histoblend.data.split import resolve_slide_map
from histoblend.workspace import Workspace, read_json

TABLE_BYTES = 32 * 2**20
"""Larger files are arrays of pictures; their content is in the data's fingerprint."""


def run_sources(
    competition: Competition, fingerprint: str, folds: FoldSettings, weights: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One entry for each file: kind, path, sha256, bytes; of the data also its fingerprint, of weights who uses them.

    Args:
        fingerprint: of the data.
        folds: says which slide map is used.
        weights: by experiment, the path of a file; anything that is no file (random, download) has no entry.
    """
    data = [described("data", path) | {"fingerprint": fingerprint} for path in _tables(competition)]
    slide_map, _ = resolve_slide_map(competition, folds)
    maps = [described("slide map", slide_map)] if isinstance(slide_map, Path) else []
    users: dict[Path, list[str]] = {}
    for name, path in weights.items():
        users.setdefault(Path(path), []).append(name)
    files = [
        described("weights", path) | {"experiments": names} for path, names in users.items() if path.is_file()
    ]
    return [*data, *maps, *files]


def earlier_sources(workspace: Workspace) -> list[dict[str, Any]]:
    """The earlier session's output that this folder began as, in a list; empty where it began as nothing."""
    path = workspace.earlier_output
    return [read_json(path)] if path.exists() else []


def described(kind: str, path: Path) -> dict[str, Any]:
    """One file: kind, path, sha256 of its bytes, and how many there are."""
    return {"kind": kind, "path": str(path), "sha256": sha256_of(path), "bytes": path.stat().st_size}


def sha256_of(path: Path) -> str:
    """The whole sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tables(competition: Competition) -> Iterator[Path]:
    """The small files of the data's folder: train_labels.csv, sample_submission.csv, the labels of another layout."""
    held = look_into(competition.root) if competition.root.is_dir() else None
    for name in sorted(held.files if held else ()):
        path = competition.root / name
        if path.is_file() and path != competition.slide_map and path.stat().st_size <= TABLE_BYTES:
            yield path
