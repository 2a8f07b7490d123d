"""What every layout is read into: the one contract between the files and the rest of the house."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

HCD, IMAGE_FOLDERS, PCAM, NPY, DIGITS = "hcd", "image folders", "pcam hdf5", "npy", "digits"
TUMOUR_CLASSES = ("no tumour", "tumour")  # of the centre 32x32 pixels, in HCD and PCam
CENTRE_SHARE = 1 / 3  # of the side of a patch: the centre 32 of 96
DIGITS_FILE = "sklearn:digits"
FILE = -1  # the `row` of a picture that is a file of its own


@dataclass(frozen=True)
class Competition:
    """What a place holds, checked, with no pixel decoded.

    Attributes:
        root: the folder; `name`: its name; `layout`: ``"hcd"``, ``"image folders"``, ``"pcam hdf5"``, ``"npy"``
            or ``"digits"``.
        classes: names of the classes; label k is ``classes[k]``.
        train: id (str), label (int64, 0 to k-1), path (str), row (int64: -1 for a picture file, else the row in
            the array file `path`).
        test: id (str), path (str), row (int64); empty where there is no test part.
        sample: the ids to submit, in order, with a label column; None for all of `test`; empty where nothing is
            to be submitted.
        known_labels: id, label (int64) of those `test` patches whose label is known, for scoring only; or None.
        notes: what the user should be told.
        synthetic: drawn by histoblend and not made of real patches.
        slide_map: a table id,wsi found beside the patches or in another Kaggle mount, or None.
        slides: slide (str) by id of the training patches where the layout itself tells, or None.
    """

    root: Path
    layout: str
    name: str
    classes: tuple[str, ...]
    train: pd.DataFrame
    test: pd.DataFrame
    sample: pd.DataFrame | None
    known_labels: pd.DataFrame | None
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    slide_map: Path | None = None
    slides: pd.Series | None = None

    def class_counts(self) -> dict[str, int]:
        """Training patches of each class, by name, in the order of `classes`."""
        counts = np.bincount(self.train["label"], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))


def labelled_centre(classes: Sequence[str], side: int) -> int | None:
    """Side in pixels of the square that the label of a patch is about; None where it is about the whole patch."""
    return round(side * CENTRE_SHARE) if tuple(classes) == TUMOUR_CLASSES else None
