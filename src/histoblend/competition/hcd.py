"""The competition's files in the layout of Histopathologic Cancer Detection, read and checked at the door.

    train/<id>.tif  test/<id>.tif  train_labels.csv (id,label)  sample_submission.csv (id,label)

Nothing is decoded here; whether the pixels are sound shows when they are packed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.competition.checks import check_files, check_labels, check_unique
from histoblend.competition.contract import HCD, TUMOUR_CLASSES, Competition
from histoblend.competition.door import Door
from histoblend.competition.leaked_labels import SLIDE_MAPS
from histoblend.competition.listing import list_patches, packed_hint
from histoblend.competition.locate import find_files
from histoblend.competition.parts import empty_table, picture_files
from histoblend.competition.synthetic import SOLUTION, is_synthetic
from histoblend.competition.tables import read_table
from histoblend.errors import DataRefusal, some

COLUMNS = ("id", "label")


def read_hcd(root: Path, kaggle_input: Path, door: Door) -> Competition:
    """Read and check the competition in `root`.

    Raises:
        DataRefusal: any fact that must hold does not; the message names the first offenders and their count.
    """
    notes: list[str] = []
    synthetic = is_synthetic(root)
    train = _read_train(root, door)
    test, sample = _read_test(root, notes, door)
    _note_shared_ids(train, test, notes)
    return Competition(
        root=root,
        layout=HCD,
        name=root.name,
        synthetic=synthetic,
        classes=TUMOUR_CLASSES,
        train=train,
        test=test,
        sample=sample,
        known_labels=_read_solution(root, test, door) if synthetic else None,
        slide_map=_find_slide_map(root, kaggle_input, notes),
        notes=tuple(notes),
    )


def _read_train(root: Path, door: Door) -> pd.DataFrame:
    path = root / "train_labels.csv"
    if not path.is_file():
        raise DataRefusal(
            f"There is no train_labels.csv in {root}.",
            "train_labels.csv with the columns id,label",
            packed_hint(path) or "put it beside train/.",
        )
    listed = read_table(path, COLUMNS, door)
    table = check_labels(check_unique(listed, path, door), path, door)
    files = list_patches(root / "train", door)
    table = check_files(table, files, root / "train", path, door, listed["id"])
    door.require(len(table), root / "train")
    return picture_files(table["id"], files).assign(label=table["label"])[["id", "label", "path", "row"]]


def _read_test(root: Path, notes: list[str], door: Door) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    path = root / "sample_submission.csv"
    files: dict[str, str] = {}
    with door.passing():
        files = list_patches(root / "test", door)
    if not files:
        return empty_table(), None  # the door is lenient: without a picture there is nothing more to check
    if path.is_file():
        with door.passing():
            return _read_sample(path, files, door)
    else:
        notes.append(
            f"There is no sample_submission.csv: the {len(files):,} test ids come from test/, sorted."
        )
    return picture_files(pd.Series(sorted(files), dtype=str), files), None


def _read_sample(path: Path, files: Mapping[str, str], door: Door) -> tuple[pd.DataFrame, pd.DataFrame]:
    listed = read_table(path, COLUMNS, door)
    table = check_unique(listed, path, door)
    table = check_files(table, files, path.parent / "test", path, door, listed["id"])
    table["label"] = _as_numbers(table["label"], path, door)
    return picture_files(table["id"], files), table


def _read_solution(root: Path, test: pd.DataFrame, door: Door) -> pd.DataFrame | None:
    """The test labels that lie beside a synthetic competition."""
    path = root / SOLUTION
    if not path.is_file():
        return None
    with door.passing():
        table = check_labels(check_unique(read_table(path, COLUMNS, door), path, door), path, door)
        return table.loc[table["id"].isin(test["id"]), ["id", "label"]].reset_index(drop=True)
    return None


def _as_numbers(cells: pd.Series, path: Path, door: Door) -> pd.Series:
    """The sample's label column as int64 where every cell is a whole number without a point, else float64."""
    numbers = pd.to_numeric(cells, errors="coerce")
    finite = np.isfinite(numbers.astype("float64"))
    if not finite.all():
        door.refuse(
            DataRefusal(
                f"{path} has labels that are no numbers: {some(list(cells[~finite]))}.",
                "a number in every row",
                "use the competition's own sample_submission.csv.",
            )
        )
    return numbers.where(finite, 0)  # what stands there is replaced by predictions anyway


def _note_shared_ids(train: pd.DataFrame, test: pd.DataFrame, notes: list[str]) -> None:
    shared = sorted(set(train["id"]) & set(test["id"]))
    if shared:
        notes.append(f"{len(shared):,} ids name a patch in train/ and another in test/: {some(shared)}.")


def _find_slide_map(root: Path, kaggle_input: Path, notes: list[str]) -> Path | None:
    """The slide map beside the patches or their folder, or anywhere in the Kaggle mounts they came with."""
    for name in SLIDE_MAPS:
        for folder in (root, root.parent):
            if (folder / name).is_file():
                return folder / name
    if not root.is_relative_to(kaggle_input.resolve()):
        return None
    for name in SLIDE_MAPS:
        if found := find_files(kaggle_input, name):
            if len(found) > 1:
                notes.append(f"Several slide maps are attached, the first is taken: {some(found)}.")
            return found[0]
    return None
