"""PCam's meta CSV: from which slide each row of the HDF5 files is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.errors import DataRefusal, some

TRUTH = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}


def read_slides(path: Path, labels: np.ndarray) -> list[str]:
    """The column ``wsi``, a slide for each of the rows whose labels (n,) are given; -1 is an unknown label.

    The rows of the table are those of the HDF5 files, in their order; the column ``center_tumor_patch``, where
    there is one, proves it.

    Raises:
        DataRefusal: the table is damaged, has no slides or another number of rows, or contradicts the labels.
    """
    table = _read(path)
    if "wsi" not in table.columns:
        raise DataRefusal(
            f"{path} has no column wsi, but {some([name for name in table.columns if name.strip()])}.",
            "the slide of each patch in a column wsi",
            "use PCam's own meta CSV, or move it away.",
        )
    if len(table) != len(labels):
        raise DataRefusal(
            f"{path} has {len(table):,} rows, and the labels beside it are {len(labels):,}.",
            "one row for each patch, in the order of the HDF5 files",
            "use PCam's own meta CSV, or move it away.",
        )
    hollow = np.flatnonzero(table["wsi"].str.strip() == "").tolist()
    if hollow:
        raise DataRefusal(
            f"{path} names no slide in {len(hollow):,} rows: {some(hollow)}.",
            "a slide in every row",
            "download it again.",
        )
    if "center_tumor_patch" in table.columns:
        _check_agreement(table["center_tumor_patch"], labels, path)
    return table["wsi"].str.strip().tolist()


def _check_agreement(column: pd.Series, labels: np.ndarray, path: Path) -> None:
    told = column.str.strip().str.lower().map(TRUTH)
    wrong = np.flatnonzero((told.to_numpy() != labels) & (labels >= 0)).tolist()
    if wrong:
        raise DataRefusal(
            f"{path} contradicts the labels in {len(wrong):,} rows (center_tumor_patch): {some(wrong)}.",
            "the rows of the HDF5 files in their order",
            "use the meta CSV that belongs to these files, or move it away and do without its slides: a slide "
            "must not be joined to another slide's patch.",
        )


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' own parser errors are ValueErrors
        raise DataRefusal(
            f"{path} cannot be read as a table: {error}.", "PCam's meta CSV", "download it again."
        ) from error
