from __future__ import annotations

from pathlib import Path

import pytest

from histoblend.competition.tables import read_table
from histoblend.errors import DataRefusal

COLUMNS = ("id", "label")


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return path


def test_byte_order_mark_crlf_quotes_blank_lines_and_column_order_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbflabel,id\r\n1,"a"\r\n\r\n0,b\r\n\r\n')
    table = read_table(path, COLUMNS)
    assert list(table.columns) == ["label", "id"]
    assert table.to_dict("list") == {"label": ["1", "0"], "id": ["a", "b"]}


def test_ids_stay_text(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, b"id,label\n007,1\n1e5,0\n0x1F,1\n1_0,0\nTrue,0\n"), COLUMNS)
    assert list(table["id"]) == ["007", "1e5", "0x1F", "1_0", "True"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n", "is empty"),
        (b"id,label\n", "no rows"),
        (b"id,target\na,1\n", "wrong columns: id, target"),
        (b"id,label,extra\na,1,2\n", "wrong columns"),
        (b"id,id\na,b\n", "wrong columns"),
        (b"a,1\nb,0\n", "wrong columns"),
        (b"id;label\na;1\n", "semicolons"),
        (b"id,label\na,1\nb\nc,0\nd,1,1\n", r"2 lines without 2 cells \(line 3, 5\)"),
        (b"id,label\na,1\nb,\n", r"empty or NaN cells in 1 lines \(line 3\)"),
        (b"id,label\na,NaN\nb,0\n", r"\(line 2\)"),
        (b"id,label\n ,1\nb,0\n", r"\(line 2\)"),
        (b'id,label\n"a,1\nb,0\n', "not a well-formed"),
        ("id,label\na,1\n".encode("utf-16"), "not UTF-8"),
        (b"PK\x03\x04\x9c\xff\xfe", "not UTF-8"),
    ],
)
def test_each_malformation_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataRefusal, match=words) as refusal:
        read_table(write(tmp_path, content), COLUMNS)
    assert "table.csv" in refusal.value.found


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefusal, match="cannot be read"):
        read_table(tmp_path / "none.csv", COLUMNS)
