"""What was odd about the files of a data set: kinds, the table of them, counts, a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from histoblend.workspace import write_csv

GREYSCALE, ALPHA, PALETTE, SIXTEEN_BIT, CMYK = "greyscale", "alpha", "palette", "16 bit", "CMYK"
ROTATED, PAGES, OTHER_SIZE, SUFFIX, UNREADABLE = (
    "EXIF rotation",
    "multi-page",
    "other size",
    "suffix",
    "unreadable",
)
ODD_KINDS = (
    GREYSCALE,
    ALPHA,
    PALETTE,
    SIXTEEN_BIT,
    CMYK,
    ROTATED,
    PAGES,
    OTHER_SIZE,
    SUFFIX,
    UNREADABLE,
)
"""Every kind, in the order in which they are counted."""
COLUMNS = ["part", "id", "kind", "detail"]
PARTS = ("train", "test")


def odd_table(rows: Iterable[tuple[str, str, str, str]]) -> pd.DataFrame:
    """A table part,id,kind,detail (all str) of `rows`; a file may stand in several."""
    return pd.DataFrame(list(rows), columns=COLUMNS).astype(str)


def write_odd_files(path: Path, odd_files: pd.DataFrame) -> None:
    """Write the table as CSV."""
    write_csv(path, odd_files)


def read_odd_files(path: Path) -> pd.DataFrame:
    """The table as it was written.

    Raises:
        OSError, ValueError: it is missing, or is no such table.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if list(table.columns) != COLUMNS or not set(table["kind"]) <= set(ODD_KINDS):
        raise ValueError(f"{path} is no table of odd files")
    return table.astype(str)


def odd_counts(odd_files: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Files per part and kind, both in their order, without zeros: ``{"train": {"greyscale": 12}}``."""
    sizes = odd_files.groupby(["part", "kind"]).size().to_dict()
    counts = {
        part: {kind: int(sizes[part, kind]) for kind in ODD_KINDS if (part, kind) in sizes} for part in PARTS
    }
    return {part: kinds for part, kinds in counts.items() if kinds}


def odd_sentence(counts: Mapping[str, Mapping[str, int]]) -> str:
    """``Odd files: train 12 greyscale, 3 other size; test 1 alpha.``; empty where nothing is odd."""
    parts = [
        f"{part} " + ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        for part, kinds in counts.items()
    ]
    return f"Odd files: {'; '.join(parts)}." if parts else ""
