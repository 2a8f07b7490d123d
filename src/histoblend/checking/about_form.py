"""Diagnoses of the table's form: separator, header, columns, lines."""

from __future__ import annotations

from histoblend.checking.findings import Diagnosis
from histoblend.checking.sheet import Sheet, is_index_name
from histoblend.errors import counted, some

SEPARATOR_NAMES = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def _separator(sheet: Sheet) -> str | None:
    if sheet.separator == ",":
        return None
    return f"Cells are separated by {SEPARATOR_NAMES[sheet.separator]}."


def _decimal_comma(sheet: Sheet) -> str | None:
    return "Numbers are written with a decimal comma." if sheet.decimal_comma else None


def _no_header(sheet: Sheet) -> str | None:
    if sheet.header or not sheet.rows:
        return None
    first = sheet.separator.join(sheet.rows[0])
    return f"The first line holds data, not names: its patch would be lost. It is {first!r}."


def _no_rows(sheet: Sheet) -> str | None:
    if sheet.rows or sheet.ragged:
        return None
    return "There is a header and no row." if sheet.header else "There is no row of data."


def _lacks_column(sheet: Sheet) -> str | None:
    if sheet.id_column is not None and sheet.value_column is not None:
        return None
    return f"There is no column of {'values' if sheet.id_column is not None else 'ids'}: {_names(sheet)}."


def _swapped(sheet: Sheet) -> str | None:
    named = sheet.named_id_column
    if named is None or named == sheet.id_column or sheet.id_column is None or not sheet.rows:
        return None
    id_name, value_name = sheet.form.columns
    swapped = sheet.header[sheet.id_column].strip().lower() == value_name.lower()
    return f"The ids stand in the column {value_name}, the values in {id_name}." if swapped else None


def _wrong_names(sheet: Sheet) -> str | None:
    if not sheet.header or sheet.id_column is None or sheet.value_column is None or _swapped(sheet):
        return None
    names = sheet.header[sheet.id_column], sheet.header[sheet.value_column]
    if names == sheet.form.columns:
        return None
    read = f" Read as ids: {names[0]!r}, as values: {names[1]!r}." if len(sheet.header) > 2 else ""
    return f"The columns are called {_names(sheet)}.{read}"


def _rename(sheet: Sheet) -> str:
    """How the two columns that were read get the names they should have, and the others go."""
    wanted = list(sheet.form.columns)
    if sheet.id_column is None or sheet.value_column is None:
        return f"Call them {','.join(wanted)}."
    if len(sheet.header) == 2 and sheet.id_column < sheet.value_column:
        return f"Call them {','.join(wanted)}: df.columns = {wanted}."
    names = [sheet.header[sheet.id_column], sheet.header[sheet.value_column]]
    return (
        f"Keep {names[0]} and {names[1]}, called {','.join(wanted)}: df[{names}].set_axis({wanted}, axis=1)."
    )


def _names(sheet: Sheet) -> str:
    return some([repr(name) for name in sheet.header]) if sheet.header else "the file has one column"


def _other_order(sheet: Sheet) -> str | None:
    first, second = sheet.id_column, sheet.value_column
    if not sheet.header or first is None or second is None or first < second or _swapped(sheet):
        return None
    return f"The column {sheet.header[second]!r} stands before {sheet.header[first]!r}."


def _extra(sheet: Sheet) -> list[int]:
    used = (sheet.id_column, sheet.value_column)
    return [place for place in range(len(sheet.header)) if place not in used]


def _index_column(sheet: Sheet) -> str | None:
    extra = [sheet.header[place] for place in _extra(sheet) if is_index_name(sheet.header[place])]
    if not extra:
        return None
    return f"There is an index column, called {extra[0]!r}: the row numbers of a data frame."


def _extra_columns(sheet: Sheet) -> str | None:
    extra = [sheet.header[place] for place in _extra(sheet) if not is_index_name(sheet.header[place])]
    return f"There are columns that were not asked for: {some(extra)}." if extra else None


def _ragged(sheet: Sheet) -> str | None:
    if not sheet.ragged:
        return None
    return f"{counted(len(sheet.ragged), 'line')} with too few or too many cells: line {some(sheet.ragged)}."


def _trailing(sheet: Sheet) -> str | None:
    return (
        f"Every line ends in {sheet.separator!r}, as if there were a further column."
        if sheet.trailing
        else None
    )


def _repeated(sheet: Sheet) -> str | None:
    if not sheet.repeated:
        return None
    return f"The header stands there again in line {some(sheet.repeated)}."


def _line_ends(sheet: Sheet) -> str | None:
    said = {"CRLF": "of Windows (CR LF)", "CR": "of old Macs (CR alone)", "mixed": "of several kinds"}
    return f"Line ends are {said[sheet.line_ends]}." if sheet.line_ends in said else None


DIAGNOSES: tuple[Diagnosis[Sheet], ...] = (
    Diagnosis("separator", "wrong", _separator, "Separate cells by commas: to_csv(..., sep=',')."),
    Diagnosis("decimal comma", "wrong", _decimal_comma, "Write points: to_csv(..., decimal='.')."),
    Diagnosis("no header", "wrong", _no_header, "Put the names of the columns into a first line."),
    Diagnosis("no rows", "wrong", _no_rows, "Write the predictions."),
    Diagnosis("column lacking", "wrong", _lacks_column, "Write an id and a value in every line."),
    Diagnosis("columns swapped", "wrong", _swapped, "Exchange the names."),
    Diagnosis("column names", "wrong", _wrong_names, _rename),
    Diagnosis(
        "index column",
        "wrong",
        _index_column,
        "Write with to_csv(..., index=False); in R with row.names=FALSE.",
    ),
    Diagnosis("trailing separator", "wrong", _trailing, "Write no separator behind the last cell."),
    Diagnosis(
        "header repeated",
        "wrong",
        _repeated,
        "Take these lines out; files were put together, headers and all.",
    ),
    Diagnosis(
        "further columns", "wrong", _extra_columns, "Take them out: the sample submission has two columns."
    ),
    Diagnosis("ragged lines", "wrong", _ragged, "Write the file again; look at these lines first."),
    Diagnosis("order of columns", "warning", _other_order, "Harmless where columns are read by name."),
    Diagnosis(
        "line ends", "warning", _line_ends, "Harmless to CSV readers; to_csv(..., lineterminator='\\n')."
    ),
)
