"""Training, validation and test part put together as the setting `use_valid` says, the same for every layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from histoblend.competition.contract import FILE
from histoblend.competition.door import Door
from histoblend.errors import DataRefusal

UseValid = Literal["folds", "holdout"]


@dataclass(frozen=True)
class Part:
    """Some patches: ``id,path,row`` and, where their labels are known, ``label``; and what the part is called."""

    name: str
    table: pd.DataFrame

    @property
    def labelled(self) -> bool:
        """Whether the labels are known."""
        return "label" in self.table.columns


@dataclass(frozen=True)
class Assembled:
    """The four tables of a competition, as its contract says."""

    train: pd.DataFrame
    test: pd.DataFrame
    sample: pd.DataFrame | None
    known_labels: pd.DataFrame | None

    def fields(self) -> dict[str, Any]:
        """The tables as fields of a `Competition`."""
        return dict(vars(self))


def assemble(
    train: Part, valid: Part | None, test: Part | None, use_valid: UseValid, notes: list[str]
) -> Assembled:
    """The tables of a competition of these parts; `notes` gets a sentence on each part beside train."""
    folds = [train.table]
    unseen = [] if test is None else [test.table]
    submitted = test is not None and not test.labelled  # what is known need not be asked of a leaderboard
    sample = None if submitted else nothing_to_submit()
    if valid is not None and use_valid == "folds":
        folds.append(valid.table)
        notes.append(
            f"{valid.name}: its {len(valid.table):,} patches join the folds "
            "(data.use_valid: holdout keeps them apart)."
        )
    elif valid is not None:
        unseen.append(valid.table)
        if test is not None and submitted:
            sample = test.table[["id"]].assign(label=0.0)
        notes.append(f"{valid.name}: its {len(valid.table):,} patches are held out, only scored.")
    notes.append(_about_test(test))
    known = [table[["id", "label"]] for table in unseen if "label" in table.columns]
    return Assembled(
        train=pd.concat(folds, ignore_index=True)[["id", "label", "path", "row"]],
        test=pd.concat(unseen, ignore_index=True)[["id", "path", "row"]] if unseen else empty_table(),
        sample=sample,
        known_labels=pd.concat(known, ignore_index=True) if known else None,
    )


def _about_test(test: Part | None) -> str:
    if test is None:
        return "There is no test part, so no submission is written."
    labels = "their labels are used for scoring only" if test.labelled else "their labels are not known"
    return f"{test.name}: {len(test.table):,} test patches; {labels}."


def check_use_valid(valid: object, use_valid: UseValid, place: object, door: Door) -> None:
    """Refuse ``use_valid: holdout`` where there is no validation part to hold out."""
    if use_valid == "holdout" and valid is None:
        door.refuse(
            DataRefusal(
                f"data.use_valid is holdout, but {place} has no validation part.",
                "a part to hold out: valid/ or val/ beside train/, or PCam's ..._valid_x.h5 and ..._valid_y.h5",
                "leave data.use_valid at folds.",
            )
        )


def picture_files(ids: pd.Series, files: Mapping[str, str]) -> pd.DataFrame:
    """id, path and row of patches that are files of their own."""
    table = pd.DataFrame({"id": ids, "path": ids.map(files), "row": FILE})
    return table.astype({"path": str, "row": "int64"})


def array_rows(part: str, path: str, count: int) -> pd.DataFrame:
    """id, path and row of the `count` patches in the array file at `path`; ids sort as rows do."""
    rows = np.arange(count, dtype=np.int64)
    return pd.DataFrame({"id": [f"{part}_{row:07d}" for row in rows], "path": path, "row": rows})


def empty_table() -> pd.DataFrame:
    """id, path and row of no patch."""
    return pd.DataFrame(
        {"id": pd.Series(dtype=str), "path": pd.Series(dtype=str), "row": pd.Series(dtype="int64")}
    )


def nothing_to_submit() -> pd.DataFrame:
    """A sample submission without a row."""
    return pd.DataFrame({"id": pd.Series(dtype=str), "label": pd.Series(dtype="float64")})


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names sorted, as numbers if all are whole numbers: label k is the k-th."""
    names = set(names)
    if all(re.fullmatch(r"[+-]?[0-9]+", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def describe_classes(classes: tuple[str, ...]) -> str:
    """``0 = Car, 1 = Truck``."""
    return ", ".join(f"{label} = {name}" for label, name in enumerate(classes))
