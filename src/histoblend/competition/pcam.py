"""PatchCamelyon (PCam) as its authors publish it: HDF5 files of pictures and labels, and a CSV on their origin.

    camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5 or .h5.gz, ..._{train,valid,test}_meta.csv

B. S. Veeling and others: Rotation Equivariant CNNs for Digital Pathology, MICCAI 2018. Of the pictures only the
shape is read here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.competition.arrays import check_pictures
from histoblend.competition.contract import PCAM, TUMOUR_CLASSES, Competition
from histoblend.competition.door import Door
from histoblend.competition.hdf5 import read_dataset, read_shape
from histoblend.competition.parts import (
    Part,
    UseValid,
    array_rows,
    assemble,
    check_use_valid,
    describe_classes,
)
from histoblend.competition.pcam_meta import read_slides
from histoblend.errors import DataRefusal, some

STEM = "camelyonpatch_level_2_split"
PART_NAMES = ("train", "valid")  # in the order in which they join the folds
NEVER_SUBMIT = (
    "A model that saw PCam must never be sent to HCD's leaderboard: PCam holds its test patches with labels."
)


def read_pcam(root: Path, use_valid: UseValid, door: Door) -> Competition:
    """Read and check the PCam files in `root`.

    Raises:
        DataRefusal: train has no pictures or no labels, a file is damaged, counts differ, a label is not 0 or 1, or
            a meta CSV contradicts the labels.
    """
    notes = [
        f"{root} is laid out as {PCAM}; its classes are {describe_classes(TUMOUR_CLASSES)}.",
        NEVER_SUBMIT,
    ]
    train = _labelled_part(root, "train", door)
    valid = None
    if _find(root, "valid", "x") or _find(root, "valid", "y"):
        with door.passing():
            valid = _labelled_part(root, "valid", door)
    check_use_valid(valid, use_valid, root, door)
    tables = assemble(train, valid, _test_part(root, door), use_valid, notes)
    folds = [train] if valid is None or use_valid == "holdout" else [train, valid]
    return Competition(
        root=root,
        layout=PCAM,
        name=root.name,
        classes=TUMOUR_CLASSES,
        **tables.fields(),
        slides=_slides(root, folds, notes, door),
        notes=tuple(notes),
    )


def _find(root: Path, part: str, array: str) -> Path | None:
    """The file of pictures (x) or labels (y) of `part`, unpacked rather than packed."""
    for suffix in (".h5", ".h5.gz"):
        path = root / f"{STEM}_{part}_{array}{suffix}"
        if path.is_file():
            return path
    return None


def _labelled_part(root: Path, part: str, door: Door) -> Part:
    pictures, answers = _find(root, part, "x"), _find(root, part, "y")
    if pictures is None or answers is None:
        array = "x" if pictures is None else "y"
        raise DataRefusal(
            f"There is no {STEM}_{part}_{array}.h5 in {root}.",
            "..._x.h5 with the pictures and ..._y.h5 with the labels of this part, or both as .h5.gz",
            "put it there, or move the other file of this part away." if part != "train" else "put it there.",
        )
    labels = _read_labels(answers, door)
    _check_count(pictures, answers, len(labels))
    table = array_rows(part, str(pictures), len(labels)).assign(label=labels)
    table = table[labels >= 0].astype({"label": "int64"})
    door.require(len(table), answers)
    return Part(pictures.name, table)


def _test_part(root: Path, door: Door) -> Part | None:
    """The test pictures, with their labels if these are there."""
    pictures = _find(root, "test", "x")
    part = None
    with door.passing():
        if _find(root, "test", "y") is not None:
            part = _labelled_part(root, "test", door)
        elif pictures is not None:
            part = Part(pictures.name, array_rows("test", str(pictures), _count(pictures)))
    return part


def _read_labels(path: Path, door: Door) -> np.ndarray:
    """Labels (n,) int64 of ``y``; -1 where they are neither 0 nor 1."""
    array = read_dataset(path, "y")
    if array.ndim == 0 or array.size != array.shape[0] or array.dtype.kind not in "biuf":
        raise DataRefusal(
            f'"y" in {path} has the shape {array.shape} and the dtype {array.dtype}.',
            "one number for each picture, (n, 1, 1, 1)",
            "download it again.",
        )
    values = array.reshape(-1)
    sound = (values == 0) | (values == 1)
    wrong = np.flatnonzero(~sound).tolist()
    if wrong:
        named = [f"{row}={values[row]}" for row in wrong]
        door.refuse(
            DataRefusal(
                f"{path} has labels other than 0 and 1 in {len(wrong):,} rows: {some(named)}.",
                "label 0 (no tumour in the centre) or 1 (tumour)",
                "download it again.",
            )
        )
    labels = np.full(len(values), -1, dtype=np.int64)
    labels[sound] = values[sound]
    return labels


def _count(pictures: Path) -> int:
    shape, dtype = read_shape(pictures, "x")
    check_pictures(shape, dtype, pictures)
    return shape[0]


def _check_count(pictures: Path, answers: Path, count: int) -> None:
    found = _count(pictures)
    if found != count:
        raise DataRefusal(
            f"{pictures} holds {found:,} pictures, and {answers} holds {count:,} labels.",
            "one label for each picture",
            "download both again: which label belongs to which picture cannot be told.",
        )


def _slides(root: Path, folds: list[Part], notes: list[str], door: Door) -> pd.Series | None:
    """Slide by id of the patches in the folds, if there is a meta CSV on each of their parts."""
    paths = [root / f"{STEM}_{part}_meta.csv" for part in PART_NAMES[: len(folds)]]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        if len(missing) < len(paths):
            notes.append(f"There is no {some(missing)}, so the slides of the other part are not used either.")
        return None
    slides: dict[str, str] = {}
    for path, part in zip(paths, folds, strict=True):
        with door.passing():
            slides |= _slides_of(path, part)
    if len(slides) < sum(len(part.table) for part in folds):
        return None  # a lenient door went on without them
    notes.append(f"{some([path.name for path in paths])}: {len(set(slides.values())):,} slides.")
    return pd.Series(slides, name="slide", dtype=str).rename_axis("id")


def _slides_of(path: Path, part: Part) -> dict[str, str]:
    count = read_shape(Path(part.table["path"].iloc[0]), "x")[0][0]
    labels = np.full(count, -1, dtype=np.int64)
    labels[part.table["row"]] = part.table["label"]
    slides = read_slides(path, labels)
    return {name: slides[row] for name, row in zip(part.table["id"], part.table["row"], strict=True)}
