"""submissions.csv as text: lines of words by column, in whatever dialect a spreadsheet program left it; pure."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

from histoblend.errors import ArtifactRefusal

SCORES = ["public_score", "private_score"]
GROUND = ("data_fingerprint", "folds_fingerprint")
"""Of what an AUC was measured on: two compare where both are the same."""
COLUMNS = (
    "when", "name", "file", "file_hash", "description", "what", "fingerprint", "auc_pooled", "auc_low", "auc_high",
    *SCORES, "status", "ref", "forced", "again", *GROUND,
)  # fmt: skip
"""Those that `histoblend submit` writes, in their order; a ledger written by hand needs name and one score."""
NUMBERS = ("auc_pooled", "auc_low", "auc_high", *SCORES)
EXAMPLE = ("name,public_score", "mini_logit_mean,0.93")
FORM = f"the columns name and public_score, private_score or both, others as you like, such as\n{chr(10).join(EXAMPLE)}"
SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Line:
    """One line: its number in the file (0 where it is not written yet) and its words by column, as they stand."""

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "").strip()


@dataclass(frozen=True)
class LedgerText:
    """The whole file.

    Attributes:
        separator: between cells; `decimal_comma`: whether numbers are written with one; `mark`: whether a byte order
            mark stands in front; `line_end`: of every line.
    """

    columns: tuple[str, ...] = COLUMNS
    lines: tuple[Line, ...] = ()
    separator: str = ","
    decimal_comma: bool = False
    mark: bool = False
    line_end: str = "\n"

    def number(self, line: Line, column: str) -> str:
        """The words of a number with a point, whichever way the file writes them."""
        return line[column].replace(",", ".") if self.separator != "," else line[column]

    def added(self, cells: Mapping[str, str]) -> LedgerText:
        """With one line more, and the columns of ours that were lacking, behind those that are there."""
        columns = (*self.columns, *(one for one in COLUMNS if one not in self.columns))
        return replace(self, columns=columns, lines=(*self.lines, Line(0, self._written(cells))))

    def added_once(self, cells: Mapping[str, str]) -> LedgerText:
        """The same, unless a line with that `ref` is there already."""
        return self if any(line["ref"] == cells["ref"] for line in self.lines) else self.added(cells)

    def changed(self, place: int, cells: Mapping[str, str]) -> LedgerText:
        """With other words in some cells of the line at `place` (from 0), and the columns that they need."""
        needed = [one for one, word in cells.items() if word and one not in self.columns]
        columns = (*self.columns, *(one for one in COLUMNS if one in needed))
        line = Line(self.lines[place].number, {**self.lines[place].cells, **self._written(cells)})
        return replace(self, columns=columns, lines=(*self.lines[:place], line, *self.lines[place + 1 :]))

    def without(self, place: int) -> LedgerText:
        """Without the line at `place`."""
        return replace(self, lines=(*self.lines[:place], *self.lines[place + 1 :]))

    def _written(self, cells: Mapping[str, str]) -> dict[str, str]:
        comma = self.decimal_comma
        return {
            key: word.replace(".", ",") if comma and key in NUMBERS else word for key, word in cells.items()
        }

    def encoded(self) -> bytes:
        """The file's bytes: the dialect as it was found, every line with its end."""
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=self.separator, lineterminator=self.line_end)
        writer.writerow(self.columns)
        for line in self.lines:
            writer.writerow([line.cells.get(column, "") for column in self.columns])
        return (codecs.BOM_UTF8 if self.mark else b"") + stream.getvalue().encode()


def parse_ledger(data: bytes, path: object) -> LedgerText:
    """Understand the bytes of a ledger; `path` is for messages. No byte: the ledger of a first submission.

    Commas, semicolons (as spreadsheets of many countries write them, then with decimal commas) or tabs; with or without
    a byte order mark. Lines may end where nothing more is known; empty ones are left aside.

    Raises:
        ArtifactRefusal: it is no such table; names the line.
    """
    if not data.strip():
        return LedgerText()
    text = _decoded(data, path)
    separator = max(SEPARATORS, key=text.lstrip().splitlines()[0].count)
    rows = _rows(text, separator, path)
    columns = tuple(cell.strip() for cell in rows[0][1])
    while columns and not columns[-1]:
        columns = columns[:-1]
    _check_columns(columns, path)
    found = [Line(number, _by_column(row, columns, number, path)) for number, row in rows[1:]]
    comma = separator != "," and any("," in line[column] for line in found for column in NUMBERS)
    ends = "\r\n" if "\r\n" in text else "\n"
    return LedgerText(columns, tuple(found), separator, comma, data.startswith(codecs.BOM_UTF8), ends)


def _decoded(data: bytes, path: object) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is no UTF-8 text ({error})") from error


def _unreadable(path: object, why: str) -> ArtifactRefusal:
    return ArtifactRefusal(f"{path} cannot be read: {why}.", FORM, remedy(path))


def remedy(path: object) -> str:
    """What to do about a ledger that is broken."""
    return f"mend {path}, or move it away: then no leaderboard score is known."


def _rows(text: str, separator: str, path: object) -> list[tuple[int, list[str]]]:
    """Cells with the numbers of their lines, empty lines left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _unreadable(path, f"line {reader.line_num}: {error}") from error


def _check_columns(columns: tuple[str, ...], path: object) -> None:
    """Cells are known by the names of their columns, so a name may stand there once only."""
    twice = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if twice:
        raise ArtifactRefusal(
            f"{path} has several columns called {' and '.join(map(repr, twice))}.",
            "a name of its own for each column",
            remedy(path),
        )


def _by_column(row: list[str], columns: tuple[str, ...], number: int, path: object) -> dict[str, str]:
    if any(cell.strip() for cell in row[len(columns) :]):
        raise ArtifactRefusal(
            f"{path}, line {number} has {len(row)} cells, the header {len(columns)}: {','.join(row)}.",
            FORM,
            remedy(path),
        )
    return dict(zip(columns, row, strict=False))
