"""Which files were packed into which pack: names, sizes and times say whether to look at the pixels again."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from histoblend.competition.contract import DIGITS_FILE, FILE, Competition
from histoblend.config import DataSettings
from histoblend.data.array_files import digits_file
from histoblend.data.odd_files import read_odd_files, write_odd_files
from histoblend.data.pack_files import PARTS
from histoblend.errors import ArtifactRefusal, DataRefusal
from histoblend.workspace import read_json, write_json

VERSION = 2


def part_settings(settings: DataSettings) -> str:
    """Those settings that decide what is in a pack, in words."""
    return (
        f"side {settings.side}, {settings.fit}, valid {settings.use_valid}, unreadable {settings.unreadable}"
    )


def stamp_of(competition: Competition, settings: DataSettings) -> str:
    """Changes when a listed file is added, removed, resized or touched, and with labels and settings.

    Raises:
        DataRefusal: a folder cannot be read.
    """
    digest = hashlib.blake2b(f"version {VERSION}, {part_settings(settings)}".encode(), digest_size=16)
    for part in PARTS:
        table = getattr(competition, part)
        columns = ["id", "path", "row", *(["label"] if part == "train" else [])]
        rows = pd.util.hash_pandas_object(table[columns], index=False).to_numpy()
        states = pd.util.hash_array(np.array(_states(table), dtype=object))
        for hashes in (rows, states):  # sorted, for the order of rows and files says nothing
            digest.update(f"{part} {len(hashes)}".encode() + np.sort(hashes).tobytes())
    return digest.hexdigest()


def recorded(competition: Competition, settings: DataSettings, scratch: Path) -> dict[str, Any] | None:
    """What was remembered of this data set with these settings: stamp and fingerprint; None if nothing was."""
    record = _records(scratch).get(_key(competition, settings))
    return record if isinstance(record, dict) else None


def remember(
    competition: Competition, settings: DataSettings, scratch: Path, record: dict[str, str], odd: pd.DataFrame
) -> None:
    """Keep `record` (stamp, fingerprint) and the table of odd files; an older table of the same data goes."""
    write_odd_files(odd_path(scratch, record["stamp"]), odd)
    before, key, records = (
        recorded(competition, settings, scratch),
        _key(competition, settings),
        _records(scratch),
    )
    write_json(scratch / "packs.json", records | {key: record})
    if before and before.get("stamp") != record["stamp"]:
        odd_path(scratch, str(before.get("stamp"))).unlink(missing_ok=True)


def remembered_odd(scratch: Path, stamp: str) -> pd.DataFrame | None:
    """The table of odd files kept with `stamp`, or None where it is missing or damaged."""
    try:
        return read_odd_files(odd_path(scratch, stamp))
    except (OSError, ValueError):
        return None  # the files are looked at again


def odd_path(scratch: Path, stamp: str) -> Path:
    """Where the table of odd files lies."""
    return scratch / f"odd_files-{stamp}.csv"


def _key(competition: Competition, settings: DataSettings) -> str:
    return f"{competition.root} ({part_settings(settings)})"


def _records(scratch: Path) -> dict[str, Any]:
    path = scratch / "packs.json"
    try:
        content = read_json(path) if path.is_file() else {}
    except ArtifactRefusal:
        return {}  # it only saves time: without it the files are decoded again
    return content if isinstance(content, dict) else {}


def _states(table: pd.DataFrame) -> list[str]:
    """Path, size and time of every file the table lists; each folder is scanned once."""
    wanted: dict[str, set[str]] = defaultdict(set)
    pictures = list(table.loc[table["row"] == FILE, "path"])
    arrays = list(table.loc[table["row"] != FILE, "path"].unique())
    for path in [*pictures, *(str(digits_file()) if one == DIGITS_FILE else one for one in arrays)]:
        folder, _, name = path.rpartition(os.sep)  # os.path.split takes four times as long
        wanted[folder].add(name)
    return [line for folder, names in wanted.items() for line in _states_in(folder, names)]


def _states_in(folder: str, names: set[str]) -> list[str]:
    try:
        with os.scandir(folder) as scan:
            found = [(one.path, one.stat()) for one in scan if one.name in names]
    except OSError as error:
        raise DataRefusal(
            f"{folder} cannot be read: {error.strerror}.", "the folder as it was found", "try again."
        ) from error
    return [f"{path},{state.st_size},{state.st_mtime_ns}" for path, state in found]
