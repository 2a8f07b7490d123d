"""The competition's CSV files, read strictly: every cell is text, every malformed line is named."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from histoblend.competition.door import Door
from histoblend.errors import DataRefusal, some

MISSING_CELLS = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})


def read_table(path: Path, columns: Sequence[str], door: Door | None = None) -> pd.DataFrame:
    """Read a CSV of exactly `columns` (in any order) as text, so that ids such as ``007`` or ``1e5`` survive.

    A byte order mark, CRLF line ends, quotes and blank lines are accepted. A lenient `door` lets ragged and hollow
    lines drop out.

    Returns:
        A frame of str cells, columns in the order of the file, rows in the order of the file.

    Raises:
        DataRefusal: the file is missing, empty or not UTF-8 text; other columns, ragged lines, empty cells.
    """
    rows = _rows(path)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    _check_header(path, header, columns)
    numbered = _check_cells(path, header, list(rows), door or Door())
    cells = list(zip(*(row for _, row in numbered), strict=True)) or [()] * len(header)
    return pd.DataFrame({name: list(cells[place]) for place, name in enumerate(header)}, dtype=str)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank, with their numbers as an editor counts them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise DataRefusal(
            f"{path} is not UTF-8 text (byte {error.start:,}: {error.reason}).",
            "a comma-separated text file",
            "download it again or save it as CSV in UTF-8.",
        ) from error
    except csv.Error as error:
        raise DataRefusal(
            f"{path} is not a well-formed CSV file: {error}.",
            "comma-separated cells, quotes closed",
            "download it again.",
        ) from error
    except OSError as error:
        raise DataRefusal(
            f"{path} cannot be read: {error.strerror or error}.", "a readable CSV file"
        ) from error


def _check_header(path: Path, header: list[str], columns: Sequence[str]) -> None:
    expected = f"the columns {','.join(columns)}"
    if not header:
        raise DataRefusal(f"{path} is empty.", expected, "download it again.")
    if sorted(header) != sorted(columns):
        hint = (
            " (separated by semicolons or tabs?)" if len(header) == 1 and {";", "\t"} & set(header[0]) else ""
        )
        raise DataRefusal(
            f"{path} has the wrong columns: {some(header)}{hint}.",
            expected,
            "give the file a first line with these names, separated by commas.",
        )


def _check_cells(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], door: Door
) -> list[tuple[int, list[str]]]:
    """Refuse ragged lines and lines with empty cells; sound are the others."""
    if not rows:
        raise DataRefusal(f"{path} has a header and no rows.", "one row per patch", "download it again.")
    ragged = [number for number, row in rows if len(row) != len(header)]
    if ragged:
        door.refuse(
            DataRefusal(
                f"{path} is malformed: {len(ragged):,} lines without {len(header)} cells (line {some(ragged)}).",
                f"{len(header)} cells in every line",
                "download it again; a download that broke off leaves such a last line.",
            )
        )
        rows = [(number, row) for number, row in rows if len(row) == len(header)]
    hollow = [number for number, row in rows if any(cell.strip().lower() in MISSING_CELLS for cell in row)]
    if hollow:
        door.refuse(
            DataRefusal(
                f"{path} has empty or NaN cells in {len(hollow):,} lines (line {some(hollow)}).",
                "a value in every cell",
                "fill or remove these lines.",
            )
        )
        unsound = set(hollow)
        rows = [(number, row) for number, row in rows if number not in unsound]
    return rows
