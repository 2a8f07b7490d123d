"""The competition's files in the layout of Histopathologic Cancer Detection, read and checked at the door.

    train/<id>.tif  test/<id>.tif  train_labels.csv (id,label)  sample_submission.csv (id,label)

Nothing is decoded here; whether the pixels are sound shows when they are packed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.competition.checks import binary_labels, check_files, check_unique
from histoblend.competition.listing import list_patches, packed_hint
from histoblend.competition.locate import KAGGLE_INPUT, find_files
from histoblend.competition.synthetic import SOLUTION, is_synthetic
from histoblend.competition.tables import read_table
from histoblend.errors import DataRefusal, some

COLUMNS = ("id", "label")
SLIDE_MAPS = ("patch_id_wsi_full.csv", "patch_id_wsi.csv")


@dataclass(frozen=True)
class Competition:
    """What a competition folder holds, checked, with no pixel decoded.

    Attributes:
        root: the folder; `name`: its name; `layout`: ``"hcd"``.
        synthetic: drawn by histoblend and not made of real patches.
        train: id (str), label (int64, 0 or 1), path (str), in the order of train_labels.csv.
        test: id (str), path (str), in the order of sample_submission.csv, or sorted where there is none.
        sample: sample_submission.csv with its columns, dtypes and order, or None.
        slide_map: a table id,wsi found beside the patches or in another Kaggle mount, or None.
        solution: the test labels of a synthetic competition, or None.
        notes: what the user should be told.
    """

    root: Path
    layout: str
    name: str
    synthetic: bool
    train: pd.DataFrame
    test: pd.DataFrame
    sample: pd.DataFrame | None
    slide_map: Path | None
    solution: Path | None
    notes: tuple[str, ...]

    @property
    def positives(self) -> int:
        """The number of training patches labelled 1."""
        return int(self.train["label"].sum())


def read_competition(root: Path, kaggle_input: Path = KAGGLE_INPUT) -> Competition:
    """Read and check the competition in `root`.

    Raises:
        DataRefusal: any fact that must hold does not; the message names the first offenders and their count.
    """
    root = root.resolve()
    notes: list[str] = []
    synthetic = is_synthetic(root)
    solution = root / SOLUTION
    train = _read_train(root)
    test, sample = _read_test(root, notes)
    _note_shared_ids(train, test, notes)
    return Competition(
        root=root,
        layout="hcd",
        name=root.name,
        synthetic=synthetic,
        train=train,
        test=test,
        sample=sample,
        slide_map=_find_slide_map(root, kaggle_input, notes),
        solution=solution if synthetic and solution.is_file() else None,
        notes=tuple(notes),
    )


def _read_train(root: Path) -> pd.DataFrame:
    path = root / "train_labels.csv"
    if not path.is_file():
        raise DataRefusal(
            f"There is no train_labels.csv in {root}.",
            "train_labels.csv with the columns id,label",
            packed_hint(path) or "put it beside train/.",
        )
    table = read_table(path, COLUMNS)
    check_unique(table["id"], path)
    labels = binary_labels(table, path)
    files = list_patches(root / "train")
    check_files(table["id"], files, root / "train", path)
    return pd.DataFrame({"id": table["id"], "label": labels, "path": table["id"].map(files)})


def _read_test(root: Path, notes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    path = root / "sample_submission.csv"
    files = list_patches(root / "test")
    if not path.is_file():
        notes.append(
            f"There is no sample_submission.csv: the {len(files):,} test ids come from test/, sorted."
        )
        ids = pd.Series(sorted(files), dtype=str)
        return pd.DataFrame({"id": ids, "path": ids.map(files)}), None
    table = read_table(path, COLUMNS)
    check_unique(table["id"], path)
    check_files(table["id"], files, root / "test", path)
    table["label"] = _as_numbers(table["label"], path)
    return pd.DataFrame({"id": table["id"], "path": table["id"].map(files)}), table


def _as_numbers(cells: pd.Series, path: Path) -> pd.Series:
    """The sample's label column as int64 where every cell is a whole number without a point, else float64."""
    numbers = pd.to_numeric(cells, errors="coerce")
    wrong = cells[~np.isfinite(numbers.astype("float64"))]
    if len(wrong):
        raise DataRefusal(
            f"{path} has labels that are no numbers: {some(list(wrong))}.",
            "a number in every row",
            "use the competition's own sample_submission.csv.",
        )
    return numbers


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
