"""Facts of a competition checked at the door, each with an error of its own that names the offenders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from histoblend.errors import DataRefusal, some

LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


def check_unique(ids: pd.Series, path: Path) -> None:
    """Refuse ids that stand in `path` more than once."""
    repeated = sorted(set(ids[ids.duplicated()]))
    if repeated:
        raise DataRefusal(
            f"{path} holds {_count(repeated, 'id')} more than once: {some(repeated)}.",
            "every id exactly once",
            "remove the repeated lines (where their labels differ, find out which is right).",
        )


def binary_labels(table: pd.DataFrame, path: Path) -> pd.Series:
    """The text column ``label`` of `table` as int64 zeros and ones; refuse other values and a lone class."""
    labels = table["label"].map(LABELS)
    wrong = table[labels.isna()]
    if len(wrong):
        named = [f"{name}={label}" for name, label in zip(wrong["id"], wrong["label"], strict=True)]
        raise DataRefusal(
            f"{path} has labels other than 0 and 1 for {_count(named, 'id')}: {some(named)}.",
            "label 0 (no tumour in the centre) or 1 (tumour)",
            "correct these labels.",
        )
    labels = labels.astype("int64")
    if labels.nunique() < 2:
        raise DataRefusal(
            f"All {len(labels):,} labels in {path} are {labels.iloc[0]}.",
            "patches of both classes: nothing can be learned or scored from one",
            "use a train_labels.csv that holds both classes.",
        )
    return labels


def check_files(ids: Iterable[str], files: Mapping[str, str], folder: Path, table: Path) -> None:
    """Refuse ids of `table` without a file in `folder`, and files of `folder` that no id of `table` names."""
    wanted = set(ids)
    missing = sorted(wanted - set(files))
    extra = [Path(files[name]).name for name in sorted(set(files) - wanted)]
    parts = []
    if missing:
        parts.append(f"{_count(missing, 'id')} of {table.name} without a file in {folder}: {some(missing)}")
    if extra:
        parts.append(f"{_count(extra, 'file')} in {folder} without an id in {table.name}: {some(extra)}")
    if parts:
        raise DataRefusal(
            "; ".join(parts) + ".",
            f"the ids of {table.name} and the .tif files of {folder.name}/ to be the same",
            f"unpack {folder.name}.zip again (a broken download loses files), or use the {table.name} "
            "that belongs to these files.",
        )


def _count(names: list[str], noun: str) -> str:
    return f"{len(names):,} {noun}" + ("" if len(names) == 1 else "s")
