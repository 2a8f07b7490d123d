"""The file as bytes: what kind it is, and its text where there is any."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SIGNATURES = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\xd0\xcf\x11\xe0": "old Excel",
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "NumPy",
    b"PAR1": "Parquet",
}
SHEET_INSIDE = b"xl/"  # a member of every .xlsx, which is a zip
MARKUP = {b"{": "JSON", b"[": "JSON", b"<": "HTML"}  # by the first character; no id and no header begins so
LOOKED_INTO = 4096  # bytes
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Content:
    """What stands under a path.

    Attributes:
        name: the path, for messages.
        data: all its bytes.
        trouble: why there are none: ``missing``, ``folder``, or what the system says; empty where they were read.
    """

    name: str
    data: bytes = b""
    trouble: str = ""

    @cached_property
    def kind(self) -> str:
        """``text``, ``utf-16``, ``empty``, ``xlsx``, ``binary``, ``JSON``, ``HTML`` or that of a signature."""
        if not self.data.removeprefix(codecs.BOM_UTF8).strip():
            return "empty"
        if self.data.startswith(UTF16) or _is_utf16_without_mark(self.data):
            return "utf-16"
        for signature, kind in SIGNATURES.items():
            if self.data.startswith(signature):
                return "xlsx" if kind == "zip" and SHEET_INSIDE in self.data else kind
        if b"\0" in self.data[:LOOKED_INTO]:
            return "binary"
        return MARKUP.get(self.data.removeprefix(codecs.BOM_UTF8).lstrip()[:1], "text")

    @cached_property
    def is_utf8(self) -> bool:
        """Whether all bytes are UTF-8 text."""
        try:
            self.data.decode("utf-8")
        except UnicodeDecodeError:
            return False
        return True

    @cached_property
    def text(self) -> str | None:
        """The text without its byte order mark; None where there is none."""
        if self.trouble or self.kind not in ("text", "utf-16"):
            return None
        if self.kind == "utf-16":
            guessed = "utf-16" if self.data.startswith(UTF16) else "utf-16-le"
            return self.data.decode(guessed, errors="replace")
        return self.data.decode("utf-8-sig") if self.is_utf8 else self.data.decode("latin-1")


def _is_utf16_without_mark(data: bytes) -> bool:
    """Every second of the first bytes is zero, as of Latin letters."""
    start = data[:LOOKED_INTO]
    return len(start) > 3 and not any(start[1::2]) and all(start[::2])


def read_content(path: Path) -> Content:
    """The bytes under `path`, or why there are none."""
    if path.is_dir():
        return Content(str(path), trouble="folder")
    try:
        return Content(str(path), path.read_bytes())
    except FileNotFoundError:
        return Content(str(path), trouble="missing")
    except OSError as error:
        return Content(str(path), trouble=error.strerror or str(error))
