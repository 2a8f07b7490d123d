"""Diagnoses of the file as bytes."""

from __future__ import annotations

import codecs

from histoblend.checking.content import Content
from histoblend.checking.findings import Diagnosis

PACKED = ("gzip", "zip")
OTHER = ("xlsx", "old Excel", "HDF5", "NumPy", "Parquet", "binary")
WRITTEN = {"JSON": "JSON", "HTML": "HTML (or other XML), such as a web page"}


def _missing(content: Content) -> str | None:
    return f"There is no file {content.name}." if content.trouble == "missing" else None


def _folder(content: Content) -> str | None:
    return f"{content.name} is a folder." if content.trouble == "folder" else None


def _unreadable(content: Content) -> str | None:
    if content.trouble in ("", "missing", "folder"):
        return None
    return f"{content.name} cannot be read: {content.trouble}."


def _empty(content: Content) -> str | None:
    return "The file is empty." if not content.trouble and content.kind == "empty" else None


def _packed(content: Content) -> str | None:
    if content.kind not in PACKED:
        return None
    return f"The file is a {content.kind} archive, whatever it is called; what is in it was not looked at."


def _no_text(content: Content) -> str | None:
    if content.kind in WRITTEN:
        return f"The file is {WRITTEN[content.kind]}, no CSV."
    if content.kind not in OTHER:
        return None
    kind = "binary data" if content.kind == "binary" else f"an {content.kind} file"
    return f"The file is {kind}, no text."


def _utf16(content: Content) -> str | None:
    return "The text is in UTF-16, two bytes a letter." if content.kind == "utf-16" else None


def _not_utf8(content: Content) -> str | None:
    if content.kind != "text" or content.is_utf8:
        return None
    return "The text is not UTF-8; it was read as Latin-1 here."


def _byte_order_mark(content: Content) -> str | None:
    if content.kind != "text" or not content.data.startswith(codecs.BOM_UTF8):
        return None
    return "The file begins with a byte order mark, three bytes no editor shows."


DIAGNOSES: tuple[Diagnosis[Content], ...] = (
    Diagnosis("file not there", "wrong", _missing, "Correct the path."),
    Diagnosis("a folder", "wrong", _folder, "Name the CSV file in it."),
    Diagnosis("unreadable", "wrong", _unreadable, "Mend the permissions or copy the file again."),
    Diagnosis("empty file", "wrong", _empty, "Write it again; look whether the disk was full."),
    Diagnosis("archive", "wrong", _packed, "Unpack it, and check the CSV itself."),
    Diagnosis("no CSV", "wrong", _no_text, "Save it as CSV: comma-separated text, UTF-8."),
    Diagnosis("UTF-16", "wrong", _utf16, "Save it as UTF-8 (in Excel: CSV UTF-8)."),
    Diagnosis("not UTF-8", "wrong", _not_utf8, "Save it as UTF-8."),
    Diagnosis(
        "byte order mark",
        "warning",
        _byte_order_mark,
        "Write with encoding='utf-8', not 'utf-8-sig': a reader that keeps the mark misses the id column.",
    ),
)
