from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from histoblend.checking import about_agreement, about_file, about_form, about_ids, about_values
from histoblend.checking.content import Content
from histoblend.checking.examine import examine
from histoblend.checking.form import Form, Reference

ROWS = 300
GENERATOR = np.random.default_rng(0)
IDS = [f"{GENERATOR.integers(2**60):015x}" for _ in range(ROWS - 3)] + ["0012345", "12e4", "7000000000000001"]
LOGITS = GENERATOR.normal(size=ROWS) * 3
FORM = Form(ids=tuple(IDS), source="a test")
MODEL = Reference("blend", pd.Series(LOGITS + GENERATOR.normal(size=ROWS), index=IDS))
TABLE = pd.DataFrame({"id": IDS, "label": expit(LOGITS)})

Breaker = Callable[[pd.DataFrame], "pd.DataFrame | str | bytes"]


def as_bytes(broken: pd.DataFrame | str | bytes) -> bytes:
    if isinstance(broken, pd.DataFrame):
        broken = broken.to_csv(index=False)
    return broken.encode() if isinstance(broken, str) else broken


def text(table: pd.DataFrame) -> str:
    return table.to_csv(index=False)


def values(change: Callable[[np.ndarray], object]) -> Breaker:
    return lambda table: table.assign(label=change(table["label"].to_numpy()))


def ids(change: Callable[[str], str]) -> Breaker:
    return lambda table: table.assign(id=table["id"].map(change))


def cell(place: int, value: object) -> Breaker:
    return lambda table: table.assign(label=table["label"].astype(object).where(table.index != place, value))


def zipped(table: pd.DataFrame, member: str = "submission.csv") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member, text(table))
    return stream.getvalue()


def all_but_first_line(table: pd.DataFrame) -> str:
    return text(table).split("\n", 1)[1]


def sorted_ids_alone(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(id=sorted(table["id"]))


def shuffled_values(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(label=np.random.default_rng(1).permutation(table["label"]))


def half_shuffled(table: pd.DataFrame) -> pd.DataFrame:
    mixed = shuffled_values(table)["label"].where(table.index < 0.65 * ROWS, table["label"])
    return table.assign(label=mixed)


def turned(table: pd.DataFrame, share: float) -> pd.DataFrame:
    return table.assign(label=table["label"].where(table.index >= share * ROWS, 1 - table["label"]))


BROKEN: dict[str, list[tuple[str, Breaker]]] = {
    "empty file": [("wrong", lambda table: b""), ("wrong", lambda table: b"\xef\xbb\xbf \n")],
    "archive": [("wrong", lambda table: gzip.compress(text(table).encode())), ("wrong", zipped)],
    "no CSV": [
        ("wrong", lambda table: zipped(table, "xl/worksheets/sheet1.xml")),
        ("wrong", lambda table: b"\x93NUMPY\x01\x00"),
        ("wrong", lambda table: b"id,label\x00\x00\n"),
        ("wrong", lambda table: table.to_json(orient="records")),
        ("wrong", lambda table: "\n<!DOCTYPE html>"),
    ],
    "UTF-16": [
        ("wrong", lambda table: text(table).encode("utf-16")),
        ("wrong", lambda table: text(table).encode("utf-16-le")),
    ],
    "not UTF-8": [("wrong", lambda table: text(table).encode() + b"\xe9\n")],
    "byte order mark": [("warning", lambda table: codecs.BOM_UTF8 + text(table).encode())],
    "separator": [
        ("wrong", lambda table: table.to_csv(index=False, sep=";")),
        ("wrong", lambda table: table.to_csv(index=False, sep="\t")),
        ("wrong", lambda table: table.to_csv(index=False, sep=";", decimal=",", header=False)),
    ],
    "decimal comma": [
        ("wrong", lambda table: table.to_csv(index=False, sep=";", decimal=",")),
        ("wrong", lambda table: table.to_csv(index=False, decimal=",")),  # pandas puts quotes around them
        ("wrong", lambda table: "\n".join(line.replace(".", ",") for line in text(table).split("\n"))),
    ],
    "no header": [("wrong", all_but_first_line)],
    "no rows": [("wrong", lambda table: "id,label\n")],
    "column lacking": [
        ("wrong", lambda table: text(table[["id"]])),
        ("wrong", lambda table: text(table[["label"]])),
    ],
    "columns swapped": [("wrong", lambda table: text(table).replace("id,label", "label,id"))],
    "column names": [
        ("wrong", lambda table: text(table).replace("id,label", "Id,Label")),
        ("wrong", lambda table: text(table).replace("id,label", "image,score")),
        ("wrong", lambda table: text(table).replace("id,label", "0,1")),
        ("wrong", lambda table: text(table).replace("id,label", "id,label ")),
    ],
    "index column": [
        ("wrong", lambda table: table.to_csv()),
        ("wrong", lambda table: table.to_csv().replace(",id", "Unnamed: 0,id", 1)),
        ("wrong", lambda table: table.set_axis(range(1, ROWS + 1)).to_csv().replace(",id", "id", 1)),  # R's
    ],
    "further columns": [("wrong", lambda table: table.assign(fold=0))],
    "ragged lines": [("wrong", lambda table: text(table)[:-25])],
    "order of columns": [("warning", lambda table: table[["label", "id"]])],
    "line ends": [
        ("warning", lambda table: text(table).replace("\n", "\r\n")),
        ("warning", lambda table: text(table).replace("\n", "\r")),
        ("warning", lambda table: text(table).replace("\n", "\r\n", 9)),
    ],
    "spaces or quotes": [("wrong", ids(" {}".format)), ("wrong", ids("'{}'".format))],
    "file names": [("wrong", ids("{}.tif".format)), ("wrong", ids("../input/test/{}.TIF".format))],
    "capitals": [("wrong", ids(str.upper))],
    "ids as numbers": [
        ("wrong", lambda table: table.replace({"id": {"0012345": "12345"}})),
        ("wrong", lambda table: table.replace({"id": {"12e4": "120000.0"}})),
        ("wrong", lambda table: table.replace({"id": {"7000000000000001": "7.000000000000001e15"}})),
    ],
    "ids twice": [("wrong", lambda table: pd.concat([table, table[:2]]))],
    "ids lacking": [("wrong", lambda table: table[1:])],
    "foreign ids": [
        ("wrong", lambda table: pd.concat([table, table[:1].assign(id="f00")])),
        ("wrong", ids("x{}".format)),
    ],
    "order of ids": [("warning", lambda table: table.sort_values("id"))],
    "no number": [
        ("wrong", cell(3, "")),
        ("wrong", cell(3, "nan")),
        ("wrong", cell(3, "inf")),
        ("wrong", cell(3, "tumour")),
    ],
    "hard 0/1": [
        ("wrong", values(lambda p: (p > 0.5).astype(int))),
        ("wrong", values(lambda p: p > 0.5)),
        ("wrong", values(lambda p: np.where(np.arange(len(p)) == 7, 0.5, p > 0.5))),
    ],
    "constant": [("wrong", values(lambda p: np.full_like(p, 0.96)))],
    "near-constant": [("wrong", values(lambda p: np.where(np.arange(len(p)) < 290, 0.96, p)))],
    "outside [0, 1]": [("warning", lambda table: table.assign(label=LOGITS))],
    "few values": [("warning", values(lambda p: p.round(1)))],
    "saturated": [("warning", values(lambda p: np.clip((p - 0.5) * 1.1 + 0.5, 0, 1)))],
    "narrow range": [("warning", values(lambda p: 0.96 + p / 1000))],
    "turned around": [("wrong", values(lambda p: 1 - p))],
    "below chance": [("wrong", lambda table: turned(table, 0.65))],
    "part unlike": [("warning", lambda table: turned(table, 0.17))],
    "trailing separator": [
        ("wrong", lambda table: text(table).replace("\n", ",\n")),
        ("wrong", lambda table: text(table).replace("\n", ",\n").replace("label,", "label", 1)),
    ],
    "header repeated": [("wrong", lambda table: text(table[:100]) + text(table[100:]))],
    "ids reordered": [
        ("wrong", lambda table: sorted_ids_alone(table.assign(label=1 - table["label"]))),
        ("wrong", sorted_ids_alone),
        ("wrong", lambda table: table.assign(id=table["id"].to_numpy()[::-1])),
        ("wrong", lambda table: sorted_ids_alone(table).sort_values("label")[::-1].sort_index()),
    ],
    "values unrelated": [("wrong", shuffled_values)],
    "little agreement": [("warning", half_shuffled)],
}
CASES = [(key, severity, breaker) for key, cases in BROKEN.items() for severity, breaker in cases]
NAMES = [f"{key} {number}" for key, cases in BROKEN.items() for number in range(len(cases))]


def checked(data: bytes, form: Form = FORM, model: Reference | None = MODEL) -> dict[str, str]:
    return {one.key: one.severity for one in examine(Content("a.csv", data), form, model).findings}


def test_a_good_file_has_no_finding():
    examination = examine(Content("a.csv", as_bytes(TABLE)), FORM, MODEL)
    assert examination.findings == [] and examination.ready and examination.rows == ROWS
    assert examination.agreement is not None and examination.agreement.value > 0.85


@pytest.mark.parametrize(("key", "severity", "breaker"), CASES, ids=NAMES)
def test_a_broken_file_has_its_own_diagnosis(key: str, severity: str, breaker: Breaker):
    found = checked(as_bytes(breaker(TABLE)))
    assert found.get(key) == severity, found
    if severity == "warning":
        assert set(found.values()) == {"warning"}


BY_CONSEQUENCE = {
    "empty file",
    "no rows",
    "column lacking",
    "ragged lines",
    "ids lacking",
    "foreign ids",
    "not UTF-8",
    "decimal comma",
    "separator",
    "ids reordered",
    "values unrelated",
    "no header",
}


@pytest.mark.parametrize(
    ("key", "breaker"),
    [(key, breaker) for key, _, breaker in CASES if key not in BY_CONSEQUENCE],
    ids=[name for name, case in zip(NAMES, CASES, strict=True) if case[0] not in BY_CONSEQUENCE],
)
def test_what_can_be_seen_through_is_told_once(key: str, breaker: Breaker):
    """No 300 ids lacking and 300 foreign ones behind a file suffix."""
    assert set(checked(as_bytes(breaker(TABLE)))) <= {key, "order of ids"}


def test_each_diagnosis_has_a_broken_file():
    tables = (about_file, about_form, about_ids, about_agreement)
    keys = {one.key for table in tables for one in table.DIAGNOSES} | {
        one.key for one in about_values.OF_NUMBERS
    }
    assert keys - {"file not there", "a folder", "unreadable", "classes exchanged"} == set(BROKEN)


@pytest.mark.parametrize("trouble", ["missing", "folder", "Permission denied"])
def test_without_a_file_that_alone_is_told(trouble: str):
    found = examine(Content("a.csv", trouble=trouble), FORM, MODEL)
    assert len(found.findings) == 1 and not found.ready


def test_several_faults_are_all_told_the_worst_first():
    broken = TABLE.assign(id=TABLE["id"] + ".tif", label=1 - TABLE["label"])[1:]
    data = codecs.BOM_UTF8 + broken.to_csv(sep=";", decimal=",", lineterminator="\r\n").encode()
    findings = examine(Content("a.csv", data), FORM, MODEL).findings
    keys = {one.key for one in findings}
    assert keys == {
        "separator",
        "decimal comma",
        "index column",
        "file names",
        "ids lacking",
        "turned around",
        "byte order mark",
        "line ends",
    }
    assert [one.severity for one in findings] == ["wrong"] * 6 + ["warning"] * 2


def test_shuffled_ids_with_their_values_are_harmless_and_without_them_are_not():
    """The case a file alone does not tell: both hold the same ids and the same values."""
    together = TABLE.sample(frac=1, random_state=3)
    alone = TABLE.assign(id=together["id"].to_numpy())
    assert checked(as_bytes(together)) == {"order of ids": "warning"}
    assert checked(as_bytes(alone))["ids reordered"] == "wrong"
    assert set(checked(as_bytes(alone), model=None)) == {"order of ids"}


def test_the_order_the_values_have_is_named():
    found = examine(Content("a.csv", as_bytes(sorted_ids_alone(TABLE))), FORM, MODEL).findings
    assert any("the order of the sample submission" in one.found for one in found)


def remedy(data: bytes, key: str, model: Reference | None = MODEL) -> str:
    return next(one.remedy for one in examine(Content("a.csv", data), FORM, model).findings if one.key == key)


def test_remedies_suit_what_is_there():
    assert "df.columns = ['id', 'label']" in remedy(
        text(TABLE).replace("id,", "Id,", 1).encode(), "column names"
    )
    ours = TABLE.rename(columns={"label": "probability"}).assign(logit=LOGITS)[["id", "logit", "probability"]]
    assert "df[['id', 'probability']].set_axis(['id', 'label'], axis=1)" in remedy(
        as_bytes(ours), "column names"
    )
    assert "outside [0, 1]" not in checked(as_bytes(ours)), "the probability is read"
    bracketed = TABLE.assign(label=[f"[{value}]" for value in TABLE["label"]])
    assert "[:, 0]" in remedy(as_bytes(bracketed), "no number")
    percent = TABLE.assign(label=[f"{value:%}" for value in TABLE["label"]])
    assert "divide by 100" in remedy(as_bytes(percent), "no number")
    moved = as_bytes(TABLE.sort_values("id"))
    assert remedy(moved, "order of ids").startswith("Harmless: the values moved along (rank correlation +0.")
    assert remedy(moved, "order of ids", None).startswith("Harmless if")


def test_without_known_ids_the_rest_is_told():
    form = Form(source="nothing")
    assert checked(as_bytes(TABLE), form, None) == {}
    assert set(checked(as_bytes(TABLE.assign(id=TABLE["id"] + ".tif")), form, None)) == {"file names"}
    assert set(checked(as_bytes(TABLE.to_csv()), form, None)) == {"index column"}
    assert set(checked(as_bytes(all_but_first_line(TABLE)), form, None)) == {"no header"}
    assert set(checked(as_bytes(pd.concat([TABLE, TABLE[:1]])), form, None)) == {"ids twice"}


def test_on_a_few_patches_direction_and_ties_are_not_judged():
    few = TABLE[:20].assign(label=1 - TABLE["label"])
    form = Form(ids=tuple(IDS[:20]))
    assert checked(as_bytes(few), form) == {}


CLASSES = ("NA", "car", "truck")
NAMED = TABLE.assign(label=np.array(CLASSES)[np.arange(ROWS) % 3])[["id", "label"]]
NAMED_FORM = Form(ids=tuple(IDS), classes=CLASSES)
NAMED_MODEL = Reference("blend", pd.Series(NAMED["label"].to_numpy(), index=IDS))


def test_of_many_classes_names_are_looked_at():
    assert checked(as_bytes(NAMED), NAMED_FORM, NAMED_MODEL) == {}
    numbers = NAMED.assign(label=np.arange(ROWS) % 3)
    assert checked(as_bytes(numbers), NAMED_FORM, NAMED_MODEL)["foreign class"] == "wrong"
    assert checked(as_bytes(NAMED.assign(label="car")), NAMED_FORM, NAMED_MODEL) == {"one class": "wrong"}
    exchanged = NAMED.assign(label=NAMED["label"].map({"NA": "car", "car": "truck", "truck": "NA"}))
    found = examine(Content("a.csv", as_bytes(exchanged)), NAMED_FORM, NAMED_MODEL).findings
    assert [one.key for one in found] == ["classes exchanged"] and "NA is called car" in found[0].found
    mixed = shuffled_values(NAMED)
    assert checked(as_bytes(mixed), NAMED_FORM, NAMED_MODEL) == {"values unrelated": "wrong"}


HARMLESS: tuple[Callable[[pd.DataFrame], pd.DataFrame], ...] = (
    lambda table: table.sample(frac=1, random_state=4),
    lambda table: table[["label", "id"]],
    lambda table: table.assign(label=table["label"].rank(pct=True)),
    lambda table: table.assign(label=table["label"] ** 3),
    lambda table: table.assign(label=0.2 + table["label"] / 2),
    lambda table: table.assign(label=10 * table["label"] - 7),
)


@pytest.mark.parametrize("seed", range(12))
def test_harmless_changes_stay_harmless(seed: int):
    """Any mixture of reordered rows, monotone values, quotes, line ends, blank lines and a byte order mark."""
    generator = np.random.default_rng(seed)
    table = TABLE
    for change in HARMLESS:
        table = change(table) if generator.random() < 0.5 else table
    data = table.to_csv(
        index=False,
        quoting=int(generator.integers(0, 3)),
        lineterminator=str(generator.choice(["\n", "\r\n"])),
        float_format=str(generator.choice(["%.12g", "%.9e"])),
    ).encode()
    data = (codecs.BOM_UTF8 if generator.random() < 0.5 else b"") + data
    data += [b"", b"\n", b"\n\n"][generator.integers(3)]
    assert "wrong" not in checked(data).values()


BITS = (
    b"",
    b"i",
    b"\n",
    b",",
    b"id",
    b"id\n",
    b'"',
    b'"\n\n',
    b",\n,\n",
    b"id,label\n,\n",
    b"a,b\nc,d",
    b"1\n2",
    b"1,2\n3,4",
)


@pytest.mark.parametrize("form", [FORM, Form(source="nothing")], ids=["ids known", "ids unknown"])
def test_whatever_stands_in_the_file_something_is_said(form: Form):
    """Bytes changed, cut out, put in: never a crash, and never ready while the form is wrong."""
    generator = np.random.default_rng(0)
    for bits in BITS:
        assert not examine(Content("a.csv", bits), form, MODEL).ready or form.ids is None
    for _ in range(40):
        data = bytearray(as_bytes(TABLE))
        place, length = (int(number) for number in generator.integers(1, 3000, 2))
        data[place : place + length] = generator.bytes(int(generator.integers(9)))
        examine(Content("a.csv", bytes(data)), form, MODEL)


def test_the_page_lists_every_diagnosis_with_its_severity():
    lines = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text().splitlines()
    listed = [
        tuple(line.split(" | ")[:2]) for line in lines if " | wrong | " in line or " | warning | " in line
    ]
    tables = (about_file, about_form, about_ids, about_agreement)
    rows = [one for table in tables for one in table.DIAGNOSES] + list(about_values.OF_NUMBERS)
    assert sorted(listed) == sorted((f"| {one.key}", one.severity) for one in rows)
