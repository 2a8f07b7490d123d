"""Facts of a competition checked at the door, each with an error of its own that names the offenders.

Every check hands back the sound rows, for a door that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from histoblend.competition.door import Door
from histoblend.errors import DataRefusal, counted, some

LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


def check_unique(table: pd.DataFrame, path: Path, door: Door) -> pd.DataFrame:
    """Refuse ids that stand in `path` more than once; sound is the first line, if all lines agree on the label."""
    doubled = table["id"].duplicated(keep=False)
    if not doubled.any():
        return table
    repeated = sorted(set(table["id"][doubled]))
    door.refuse(
        DataRefusal(
            f"{path} holds {counted(len(repeated), 'id')} more than once: {some(repeated)}.",
            "every id exactly once",
            "remove the repeated lines (where their labels differ, find out which is right).",
        )
    )
    labels = table.groupby("id")["label"].nunique()
    agreed = table["id"].isin(labels.index[labels == 1])
    return table[agreed & ~table["id"].duplicated()].reset_index(drop=True)


def check_labels(table: pd.DataFrame, path: Path, door: Door) -> pd.DataFrame:
    """`table` with its text column ``label`` as int64 zeros and ones; refuse other values and a lone class."""
    labels = table["label"].map(LABELS)
    sound = labels.notna()
    wrong = table[~sound]
    if len(wrong):
        named = [f"{name}={label}" for name, label in zip(wrong["id"], wrong["label"], strict=True)]
        door.refuse(
            DataRefusal(
                f"{path} has labels other than 0 and 1 for {counted(len(named), 'id')}: {some(named)}.",
                "label 0 (no tumour in the centre) or 1 (tumour)",
                "correct these labels.",
            )
        )
    labels = labels[sound].astype("int64")
    if labels.nunique() == 1:
        door.refuse(
            DataRefusal(
                f"All {len(labels):,} labels in {path} are {labels.iloc[0]}.",
                "patches of both classes: nothing can be learned or scored from one",
                f"use a {path.name} that holds both classes.",
            )
        )
    return table[sound].assign(label=labels).reset_index(drop=True)


def check_files(
    table: pd.DataFrame, files: Mapping[str, str], folder: Path, path: Path, door: Door, listed: pd.Series
) -> pd.DataFrame:
    """Refuse ids of `table` without a file in `folder`, and files of `folder` that no id in `listed` names.

    `listed` holds all ids of the CSV, those too that a lenient door has taken out of `table` before.
    """
    found = table["id"].isin(files.keys())
    missing = sorted(set(table["id"][~found]))
    extra = [Path(files[name]).name for name in sorted(set(files) - set(listed))]
    parts = []
    if missing:
        parts.append(
            f"{counted(len(missing), 'id')} of {path.name} without a file in {folder}: {some(missing)}"
        )
    if extra:
        parts.append(f"{counted(len(extra), 'file')} in {folder} without an id in {path.name}: {some(extra)}")
    if parts:
        door.refuse(
            DataRefusal(
                "; ".join(parts) + ".",
                f"the ids of {path.name} and the picture files of {folder.name}/ to be the same",
                f"unpack {folder.name}.zip again (a broken download loses files), or use the {path.name} "
                "that belongs to these files.",
            )
        )
    return table[found].reset_index(drop=True)
