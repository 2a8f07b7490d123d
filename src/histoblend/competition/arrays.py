"""A bare ``train.npy`` with ``labels.npy``, and ``test.npy`` where there are pictures without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.competition.contract import NPY, Competition
from histoblend.competition.door import Door
from histoblend.competition.parts import (
    Part,
    UseValid,
    array_rows,
    assemble,
    check_use_valid,
    class_order,
    describe_classes,
)
from histoblend.errors import DataRefusal, some


def read_arrays(root: Path, use_valid: UseValid, door: Door) -> Competition:
    """Read and check the arrays in `root`; of the pictures only shape and dtype.

    Raises:
        DataRefusal: an array is damaged, holds Python objects or has a shape or dtype that no pictures have; the
            labels are fewer or more than the pictures, no labels, or of one class.
    """
    count = _count_pictures(root / "train.npy")
    names = _read_labels(root / "labels.npy", count, door)
    classes = class_order(names.dropna())
    if len(classes) < 2:
        raise DataRefusal(
            f"All labels in {root / 'labels.npy'} are {some(classes)}.",
            "pictures of two classes or more",
            "use labels.npy of all classes.",
        )
    labels = names.map({name: label for label, name in enumerate(classes)})
    table = array_rows("train", str(root / "train.npy"), count).assign(label=labels)
    table = table[labels.notna()].astype({"label": "int64"})
    test = None
    if (root / "test.npy").is_file():
        with door.passing():
            path = root / "test.npy"
            test = Part("test.npy", array_rows("test", str(path), _count_pictures(path)))
    notes = [f"{root} is laid out as {NPY}; its classes are {describe_classes(classes)}."]
    check_use_valid(None, use_valid, root, door)
    tables = assemble(Part("train.npy", table), None, test, use_valid, notes)
    return Competition(
        root=root,
        layout=NPY,
        name=root.name,
        classes=classes,
        **tables.fields(),
        notes=tuple(notes),
    )


def _count_pictures(path: Path) -> int:
    array = _open(path)
    check_pictures(array.shape, array.dtype, path)
    return array.shape[0]


def check_pictures(shape: tuple[int, ...], dtype: np.dtype, path: Path) -> None:
    """Refuse arrays that hold no pictures: uint8, uint16, bool or float of (n, h, w) or (n, h, w, 1, 3 or 4)."""
    sized = len(shape) in (3, 4) and all(shape) and (len(shape) == 3 or shape[3] in (1, 3, 4))
    if not sized:
        first = len(shape) == 4 and shape[1] in (1, 3, 4)
        raise DataRefusal(
            f"{path} has the shape {'x'.join(map(str, shape)) or 'of one number'}.",
            "pictures: (n, height, width) or (n, height, width, 1, 3 or 4)",
            "put the channels last: np.transpose(array, (0, 2, 3, 1))."
            if first
            else "save it in that shape.",
        )
    if dtype not in (np.uint8, np.uint16, np.bool_) and not np.issubdtype(dtype, np.floating):
        raise DataRefusal(
            f"{path} holds {dtype} numbers.",
            "uint8 (0 to 255), uint16, bool, or floats from 0 to 1",
            "save it as array.astype(np.uint8), if its values go from 0 to 255.",
        )


def _read_labels(path: Path, count: int, door: Door) -> pd.Series:
    """Class names of `count` pictures, None where the label is unsound."""
    array = _open(path)
    if array.shape[:1] != (count,):
        raise DataRefusal(
            f"{path} has the shape {array.shape}, but train.npy holds {count:,} pictures.",
            "one label for each picture, in the same order",
            "save both from the same list.",
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        return _one_hot(array, path, door)
    if array.ndim != 1:
        raise DataRefusal(
            f"{path} has the shape {array.shape}.",
            "labels (n,) or (n, 1), or one-hot rows (n, classes)",
            "save one label for each picture.",
        )
    return _names(np.asarray(array), path, door)


def _names(labels: np.ndarray, path: Path, door: Door) -> pd.Series:
    """Labels (n,) as class names: whole numbers, truth values and words."""
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    sound = np.ones(len(labels), dtype=bool)
    if labels.dtype.kind == "f":
        sound = np.isfinite(labels) & (labels == np.round(labels))
        labels = np.where(sound, labels, 0).astype(np.int64)
    elif labels.dtype.kind == "U":
        sound = np.char.str_len(np.char.strip(labels)) > 0
    elif labels.dtype.kind not in "biu":
        raise DataRefusal(
            f"{path} holds {labels.dtype}.",
            "whole numbers, truth values or words",
            "save the labels as such.",
        )
    _refuse_rows(~sound, "are no whole numbers" if labels.dtype.kind != "U" else "are empty", path, door)
    return pd.Series(labels.astype(str), dtype=object).where(sound, None)


def _one_hot(rows: np.ndarray, path: Path, door: Door) -> pd.Series:
    """One-hot rows (n, k) as the numbers of their columns."""
    table = np.asarray(rows)
    if table.dtype.kind not in "biuf":
        raise DataRefusal(
            f"{path} has {table.shape[1]} columns of {table.dtype}.", "one label a picture", "save one."
        )
    sound = ((table == 0) | (table == 1)).all(axis=1) & ((table == 1).sum(axis=1) == 1)
    _refuse_rows(~sound, "are not one-hot (a single 1 among zeros)", path, door)
    unused = np.flatnonzero(~(table[sound] == 1).any(axis=0))
    if len(unused):
        door.refuse(
            DataRefusal(
                f"{path} has classes without a picture: columns {some(unused.tolist())} are never 1.",
                "pictures of every class",
                "leave these columns out.",
            )
        )
    return pd.Series(table.argmax(axis=1).astype(str), dtype=object).where(sound, None)


def _refuse_rows(wrong: np.ndarray, what: str, path: Path, door: Door) -> None:
    if wrong.any():
        rows = np.flatnonzero(wrong).tolist()
        door.refuse(
            DataRefusal(
                f"{path} has {len(rows):,} labels that {what}: row {some(rows)}.",
                "a whole number, truth value or word for each picture, or one-hot rows",
                "correct these labels.",
            )
        )


def _open(path: Path) -> np.ndarray:
    """The array at `path`, mapped and not read.

    Raises:
        DataRefusal: it holds Python objects, or is no whole .npy file.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        objects = "object" in str(error).lower() or "pickle" in str(error).lower()
        raise DataRefusal(
            f"{path} cannot be read: {error}",
            "a whole .npy file of plain numbers or words, without Python objects",
            "objects are never unpickled, for they may run code: save np.stack(pictures), or labels as "
            "np.array(labels, dtype=str)."
            if objects
            else "copy it again; a copy that broke off is too short.",
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataRefusal(f"{path} is an .npz archive.", "a single array", "save it with np.save.")
    return array
