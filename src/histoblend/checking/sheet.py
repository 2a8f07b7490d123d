"""The text as rows of cells: the separator, the header and the two columns found, whatever they are called."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from histoblend.checking.form import Form

SEPARATORS = (";", "\t", "|", ",")
"""Tried in this order: ids and numbers hold none of the first three, and a decimal comma looks like the last."""
LOOKED_AT = 50  # lines
INDEX_NAMES = ("", "index")
OUR_VALUES = "probability"  # in our own tables of predictions, which hold logits too


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Attributes:
        header: names as they stand; empty where the first line holds data.
        rows: cells of every other line that has the right number of them.
        ragged: numbers of the lines that have not, as an editor counts them.
        trailing: whether every line ends in a separator, with nothing behind it.
        repeated: numbers of the lines that hold the header again.
        decimal_comma: whether numbers are written with one; `rows` hold them with a point.
        id_column, value_column: their places in `rows`; None where there is no such column.
        line_ends: ``LF``, ``CRLF``, ``CR`` or ``mixed``.
    """

    form: Form
    separator: str
    header: tuple[str, ...]
    rows: list[list[str]]
    ragged: tuple[int, ...]
    decimal_comma: bool
    id_column: int | None
    value_column: int | None
    line_ends: str
    trailing: bool = False
    repeated: tuple[int, ...] = ()

    def column(self, place: int | None) -> list[str]:
        """All cells of a column."""
        return [] if place is None else [row[place] for row in self.rows]

    @property
    def named_id_column(self) -> int | None:
        """Where the column stands that is called as the ids' should be."""
        names = [name.strip().lower() for name in self.header]
        wanted = self.form.columns[0].lower()
        return names.index(wanted) if wanted in names else None

    @property
    def index_columns(self) -> list[int]:
        """Places of columns that number the rows and are called nothing, Unnamed or index."""
        return [place for place, name in enumerate(self.header) if is_index_name(name)]


def is_index_name(name: str) -> bool:
    """Whether pandas would call a nameless index so."""
    return name.strip().lower() in INDEX_NAMES or name.startswith("Unnamed:")


def sheet_of(text: str, form: Form) -> Sheet:
    """Read `text` as a table that should have the form `form`."""
    separator = _separator(text)
    numbered = _lines(text, separator)
    header = _header(numbered[0][1], form) if numbered else ()
    body = numbered[1:] if header else numbered
    header, body, trailing = _without_trailing(header, body)
    repeated = tuple(number for number, row in body if header and tuple(row) == header)
    body = [(number, row) for number, row in body if number not in repeated]
    if header and len(header) + 1 == _usual_width(body) and not any(is_index_name(name) for name in header):
        header = ("", *header) if _numbers_rows(body, header) else header
    width = len(header) or _usual_width(body)
    body, joined = _decimals_joined(body, width if header else 2)
    width = 2 if joined and not header else width
    rows = [row for _, row in body if len(row) == width]
    id_column, value_column = _columns(header, rows, width, form)
    pointed = _pointed(rows, value_column)
    return Sheet(
        form=form,
        separator=separator,
        header=header,
        rows=rows,
        ragged=tuple(number for number, row in body if len(row) != width),
        decimal_comma=joined or pointed,
        id_column=id_column,
        value_column=value_column,
        line_ends=_line_ends(text),
        trailing=trailing,
        repeated=repeated,
    )


def _without_trailing(
    header: tuple[str, ...], body: list[tuple[int, list[str]]]
) -> tuple[tuple[str, ...], list[tuple[int, list[str]]], bool]:
    """Header and lines without the empty cell that all lines end in, and whether there was one."""
    if not body or any(len(row) < 3 or row[-1] for _, row in body):
        return header, body, False
    kept = [(number, row[:-1]) for number, row in body]
    return (header[:-1] if header and not header[-1] else header), kept, True


def _numbers_rows(body: list[tuple[int, list[str]]], header: tuple[str, ...]) -> bool:
    """Whether the cell that the header lacks numbers the rows, as R writes it: 1, 2, 3."""
    first = [row[0] for _, row in body if len(row) == len(header) + 1]
    return first == [str(number + 1) for number in range(len(first))]


def _usual_width(body: Sequence[tuple[int, list[str]]]) -> int:
    return max(Counter(len(row) for _, row in body).items(), key=lambda one: one[1], default=(0, 0))[0]


def _line_ends(text: str) -> str:
    both = text.count("\r\n")
    alone = {"CRLF": both, "LF": text.count("\n") - both, "CR": text.count("\r") - both}
    there = [name for name, count in alone.items() if count]
    return "mixed" if len(there) > 1 else (there or ["LF"])[0]


def _separator(text: str) -> str:
    """The first separator that cuts most of the first lines into equally many cells, at least two."""
    lines = [line for line in text[: 400 * LOOKED_AT].splitlines()[:LOOKED_AT] if line.strip()]
    for separator in SEPARATORS:
        counts = Counter(line.count(separator) for line in lines)
        if any(count and 2 * number > len(lines) for count, number in counts.items()):
            return separator
    return ","


def _lines(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, with their numbers."""
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]


def _header(first: Sequence[str], form: Form) -> tuple[str, ...]:
    """The first line if it holds names: no number, and no id that is asked for."""
    names = [name.strip().lower() for name in first]
    if set(names) & {name.lower() for name in form.columns}:
        return tuple(first)
    positions = [str(place) for place in range(len(first))]
    named_by_place = all(name in ("", *positions) for name in names)
    data = any(as_number(cell) is not None for cell in first) or bool(set(first) & set(form.ids or ()))
    return tuple(first) if named_by_place or not data else ()


def as_number(cell: str) -> float | None:
    """The number a cell holds; NaN and infinities are numbers here, an empty cell is none."""
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _decimals_joined(
    body: list[tuple[int, list[str]]], width: int
) -> tuple[list[tuple[int, list[str]]], bool]:
    """Rows whose decimal comma was taken for a separator, put together again."""
    cut = [row for _, row in body if len(row) == width + 1 and row[-1].isdigit() and _is_whole(row[-2])]
    if width < 2 or len(cut) <= len(body) / 2:
        return body, False
    return [
        (number, [*row[:-2], f"{row[-2]}.{row[-1]}"] if len(row) == width + 1 else row)
        for number, row in body
    ], True


def _is_whole(cell: str) -> bool:
    return cell.strip().lstrip("-").isdigit()


def _pointed(rows: list[list[str]], place: int | None) -> bool:
    """Write points for decimal commas into the value column of `rows`; whether there were any."""
    if place is None:
        return False
    found = False
    for row in rows:
        whole, comma, rest = row[place].strip().partition(",")
        if comma and as_number(f"{whole}.{rest}") is not None:
            row[place], found = f"{whole}.{rest}", True
    return found


def _columns(
    header: tuple[str, ...], rows: list[list[str]], width: int, form: Form
) -> tuple[int | None, int | None]:
    """Places of ids and values: by content where the ids are known, then by name, then by what is no number."""
    names = [name.strip().lower() for name in header] or [""] * width
    index = {place for place in range(width) if header and is_index_name(header[place])}
    if named_by_place := all(is_index_name(name) or name.isdigit() for name in names):
        index = set()
    usable = [place for place in range(width) if place not in index]
    first = _id_column(names, rows, usable, form)
    rest = [place for place in usable if place != first]
    named = [place for place in rest if names[place] == form.columns[1].lower()]
    named += [place for place in rest if names[place] == OUR_VALUES]
    if named_by_place:
        rest = rest[-1:]
    return first, next(iter(named or rest), None)


def _id_column(names: list[str], rows: list[list[str]], usable: list[int], form: Form) -> int | None:
    if not usable:
        return None
    shown = rows[: LOOKED_AT * 4]
    if form.ids is not None:
        wanted = set(form.ids)
        hits = {place: sum(row[place].strip() in wanted for row in shown) for place in usable}
        best = max(hits, key=lambda place: hits[place])
        if hits[best]:
            return best
    wanted_name = form.columns[0].lower()
    words = {place: sum(as_number(row[place]) is None for row in shown) for place in usable}
    by_words = max(words, key=lambda place: words[place])
    for place in usable:
        if names[place] == wanted_name and words[place] >= words[by_words] / 2:
            return place
    return by_words if words[by_words] or wanted_name not in names else names.index(wanted_name)
