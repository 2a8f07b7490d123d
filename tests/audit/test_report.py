"""The audit's report: it fits, loses no id, and shows what belongs together side by side."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from rich.console import Console

from histoblend.audit.findings import Finding, Part, in_order, patch_rows
from histoblend.audit.report import (
    WIDE,
    audit_sheets,
    closing,
    findings_record,
    findings_table,
    looker,
    printed_audit,
    short_id,
)

LONG = "An account of what was found that is much too long for one line, " * 4


def finding(kind: str = "black", count: int = 3, **changes: object) -> Finding:
    rows = patch_rows(("train", f"{number:040x}", f"detail {number}", 0) for number in range(count))
    return Finding(kind, "odd", "train", LONG, "keep", rows, **changes)  # type: ignore[arg-type]


def pair(values: dict[str, int]) -> Finding:
    rows = [
        ("train", f"{0:040x}", "like the other", 0),
        ("train", f"{1:040x}", "like", 0),
        ("test", "t", "like", 0),
    ]
    return Finding(
        "exact duplicates", "wrong", "train + test", "Both.", "keep", patch_rows(rows), values=dict(values)
    )


def parts() -> list[Part]:
    ids = [f"{number:040x}" for number in range(20)]
    images = np.stack([np.full((96, 96, 3), 10 * number, np.uint8) for number in range(20)])
    table = pd.DataFrame({"id": ids, "label": [number % 2 for number in range(20)]})
    test = Part("test", pd.DataFrame({"id": ["t"]}), np.full((1, 96, 96, 3), 250, np.uint8))
    return [Part("train", table, images), test]


def test_the_table_fits_and_says_what_training_does() -> None:
    stream = io.StringIO()
    findings = [finding(), finding("a kind with quite a long name", 120_000)]
    Console(file=stream, width=200).print(printed_audit(findings, "Audit of something"))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDE
    text = " ".join(lines)
    assert "120,000" in text and "keep" in text and "00000000" in text


def test_no_id_is_lost() -> None:
    table = findings_table(
        [finding(count=500), finding("white", 2), Finding("balance", "note", "train", "Even.")]
    )
    assert len(table) == 502 and list(table.columns) == ["id", "part", "kind", "detail"]
    assert table["kind"].value_counts().to_dict() == {"black": 500, "white": 2}
    assert findings_table([]).empty
    assert len(findings_record([finding(count=500)])[0]["ids"]) == 500


def test_sheets_show_patches_and_sets_side_by_side() -> None:
    look = looker(parts(), ("no tumour", "tumour"))
    (sheet,) = audit_sheets([pair({"sets": 1})], look)
    height = slice(60, 180)
    columns = sheet[height].reshape(-1, sheet.shape[1], 3).mean(axis=(0, 2))
    assert {0, 250} <= set(columns.round().astype(int))  # the patch of train beside that of test
    assert 10 not in set(columns.round().astype(int))


def test_sheets_are_cut_into_pages_and_leave_out_what_has_no_picture() -> None:
    look = looker(parts(), ("no tumour", "tumour"))
    assert len(audit_sheets([finding(f"kind {k}") for k in range(7)], look)) == 2
    absent = Finding("unreadable", "wrong", "train", "x", patches=patch_rows([("train", "gone", "empty", 0)]))
    assert audit_sheets([absent, Finding("balance", "note", "train", "Even.")], look) == []
    assert looker([], ())("train", "a") is None


def test_the_gravest_comes_first() -> None:
    severities = [Finding("a", "note", "", ""), Finding("b", "wrong", "", ""), Finding("c", "odd", "", "")]
    assert [one.kind for one in in_order(severities)] == ["b", "c", "a"]


def test_closing_tells_found_from_not_found_from_not_looked_for() -> None:
    empty = Finding("look-alikes", "note", "train", "Only crowds.", number=60)
    said = closing([finding(), empty, pair({"sets": 1})], {"label suspects": "no predictions"})
    assert said[0] == "1 wrong, 1 odd, 1 facts."
    absent = said[1]
    assert "near duplicates" in absent and "unreadable files" in absent
    assert not any(name in absent for name in ("blank", "exact duplicates", "label suspects"))
    assert said[2] == "Not looked for: label suspects: no predictions."
    said = closing([finding()], dict.fromkeys(["blank patches", "other sizes", "other suffixes"], "unread"))
    assert (
        said[2] == "Not looked for: other sizes, other suffixes: unread."
    )  # blank ones were found all the same


def test_the_labelled_centre_is_outlined_where_labels_are_in_doubt() -> None:
    look = looker(parts(), ("no tumour", "tumour"))
    plain, outlined = (audit_sheets([finding(kind)], look, 32)[0] for kind in ("black", "label suspects"))
    green = np.array([0, 120, 0])
    assert not (plain == green).all(axis=2).any()
    assert (outlined == green).all(axis=2).any()


def test_ids_are_shortened_only_where_they_stay_telling() -> None:
    assert short_id("9369c7278ec8bcc6c880d99194de09fc2bd4efbe") == "9369c727"
    assert short_id("train/Car/car_015") == "car_015" and short_id("digit_0007") == "digit_0007"
