"""One folder of pictures per class: ``train/<class>/*``, with or without ``valid/`` and ``test/``.

    train/<class>/*   valid|val/<class>/*   test/* or test/<class>/*
    train+val/train/<class>/*   train+val/valid/<class>/*   test/*        (the TU/e course)
    <class>/*                                                            (only where the folder was named)

A patch's id is its path below the folder that holds its part, without the suffix: ``train/0/abc``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from histoblend.competition.contract import IMAGE_FOLDERS, Competition
from histoblend.competition.door import Door
from histoblend.competition.listing import list_entries, list_patches
from histoblend.competition.parts import (
    Part,
    UseValid,
    assemble,
    check_use_valid,
    class_order,
    describe_classes,
    picture_files,
)
from histoblend.competition.recognise import TRAIN_AND_VALID, are_class_folders
from histoblend.errors import DataRefusal, some


@dataclass(frozen=True)
class _Places:
    """Where the parts lie; `prefix` is what train's ids begin with."""

    train: Path
    prefix: str
    valid: Path | None = None
    test: Path | None = None


def read_image_folders(root: Path, use_valid: UseValid, door: Door) -> Competition:
    """Read and check the class folders below `root`.

    Raises:
        DataRefusal: fewer than two classes, an empty class, parts with other classes, files that are no pictures
            among them, two files of one id, or no telling which folder is meant.
    """
    places = _places(root)
    files = _class_files(places.train, places.prefix, door)
    classes = class_order(files)
    if len(classes) < 2:
        raise DataRefusal(
            f"{places.train} holds pictures of only one class: {some(classes)}.",
            "two class folders or more",
            "put the pictures of each class into a folder of its own.",
        )
    notes = [f"{root} is laid out as {IMAGE_FOLDERS}; its classes are {describe_classes(classes)}."]
    train = Part("train/", _labelled(files, classes))
    valid = test = None
    with door.passing():
        valid = None if places.valid is None else _labelled_part(places.valid, classes, door)
    with door.passing():
        test = None if places.test is None else _test_part(places.test, classes, door)
    check_use_valid(valid, use_valid, root, door)
    tables = assemble(train, valid, test, use_valid, notes)
    return Competition(
        root=root,
        layout=IMAGE_FOLDERS,
        name=root.parent.name if root.name == TRAIN_AND_VALID else root.name,
        classes=classes,
        **tables.fields(),
        notes=tuple(notes),
    )


def _places(root: Path) -> _Places:
    both = root / TRAIN_AND_VALID
    train = _the_one(root / "train", both / "train")
    if train is None:
        if not are_class_folders(root):
            raise DataRefusal(f"There is no train/ in {root}.", "train/<class>/* in it", "name its folder.")
        return _Places(root, "")
    valid = _the_one(*(base / name for base in (root, both) for name in ("valid", "val")))
    return _Places(train, "train/", valid, _the_one(root / "test", both / "test"))


def _the_one(*candidates: Path) -> Path | None:
    """The one of `candidates` that is a folder, if any is."""
    found = [folder for folder in candidates if folder.is_dir()]
    if len(found) > 1:
        raise DataRefusal(
            f"There are both {found[0]} and {found[1]}.",
            "one folder for each part of the data",
            "move away the one that is not meant.",
        )
    return found[0] if found else None


def _class_files(folder: Path, prefix: str, door: Door) -> dict[str, dict[str, str]]:
    """Id to path of the pictures of each class in `folder`, empty classes left out."""
    entries = list_entries(folder)
    if entries.patches:
        door.refuse(
            DataRefusal(
                f"{len(entries.patches):,} pictures lie beside the class folders of {folder}, so in no class: "
                f"{some(sorted(entries.patches))}.",
                "pictures only inside the class folders",
                "move each into its class, or away.",
            )
        )
    classes = {}
    for name in sorted(entries.folders):
        files = list_patches(folder / name, door)
        if files:
            classes[name] = {f"{prefix}{name}/{stem}": path for stem, path in files.items()}
    door.require(len(classes), folder)
    return classes


def _labelled(files: dict[str, dict[str, str]], classes: tuple[str, ...]) -> pd.DataFrame:
    """id, path, row and label, classes in their order and ids sorted within; other classes left out."""
    tables = [
        picture_files(pd.Series(list(files[name]), dtype=str), files[name]).assign(label=label)
        for label, name in enumerate(classes)
        if name in files
    ]
    return pd.concat(tables, ignore_index=True).astype({"label": "int64"})


def _labelled_part(folder: Path, classes: tuple[str, ...], door: Door) -> Part:
    files = _class_files(folder, f"{folder.name}/", door)
    missing, foreign = sorted(set(classes) - set(files)), sorted(set(files) - set(classes))
    if missing or foreign:
        words = [
            f"{word} {some(names)}" for word, names in (("without", missing), ("with", foreign)) if names
        ]
        door.refuse(
            DataRefusal(
                f"{folder} does not hold the classes of train/: it is {' and '.join(words)}.",
                f"the class folders {some(classes)} in every part",
                "rename or move the folders that differ"
                + (", or put unlabelled pictures directly into test/." if folder.name == "test" else "."),
            )
        )
    known = {name: files[name] for name in classes if name in files}
    door.require(len(known), folder)
    return Part(f"{folder.name}/", _labelled(known, classes))


def _test_part(folder: Path, classes: tuple[str, ...], door: Door) -> Part | None:
    """Test pictures with their labels where they lie in class folders, without where they lie in `folder`."""
    entries = list_entries(folder)
    if entries.folders and not entries.patches:
        return _labelled_part(folder, classes, door)
    files = {f"test/{stem}": path for stem, path in list_patches(folder, door).items()}
    return Part("test/", picture_files(pd.Series(list(files), dtype=str), files)) if files else None
