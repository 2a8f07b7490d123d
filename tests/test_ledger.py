"""The ledger of submissions: what a leaderboard has answered, read strictly."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.ledger import read_ledger, read_submissions
from histoblend.ledger_file import COLUMNS, SCORES
from histoblend.ledger_writing import change_ledger


def written(folder: Path, text: str) -> Path:
    (folder / "submissions.csv").write_text(text)
    return folder / "submissions.csv"


def test_no_file_is_nothing_known(tmp_path: Path):
    table = read_ledger(tmp_path / "submissions.csv")
    assert table.empty and list(table.columns) == SCORES


def test_the_last_score_of_a_name_counts_also_above_rows_without_one(tmp_path: Path):
    path = written(
        tmp_path,
        "date,name,public_score,private_score,note\n"
        "1,a,.91,.5,x\n2,a,0.93,,\n3,a,,,waiting\n4,b,,,\n5,001,1,0,names stay as they are\n",
    )
    table = read_ledger(path)
    assert table.loc["a", "public_score"] == 0.93 and np.isnan(table.loc["a", "private_score"]), (
        "no mixture of two"
    )
    assert table.loc["b"].isna().all() and table.loc["001"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b,high,", r"line 3 \(b\): public_score is 'high'"),
        ("b,1.2,", r"line 3 \(b\): public_score is '1.2'"),
        ("b,,-0.1", r"line 3 \(b\): private_score is '-0.1'"),
        ("b,nan,", r"public_score is 'nan'"),
    ],
)
def test_what_is_no_score_is_named_by_its_row(tmp_path: Path, row: str, said: str):
    path = written(tmp_path, f"name,public_score,private_score\na,.9,\n{row}\n")
    with pytest.raises(ArtifactRefusal, match=said):
        read_ledger(path)


def test_missing_columns_are_named(tmp_path: Path):
    with pytest.raises(
        ArtifactRefusal,
        match=r"lacks the column public_score or private_score; it has name, score[\s\S]*mini_logit_mean,0.93",
    ):
        read_ledger(written(tmp_path, "name,score\na,.9\n"))
    with pytest.raises(ArtifactRefusal, match="lacks the column name"):
        read_ledger(written(tmp_path, ""))


def test_cells_are_never_shifted(tmp_path: Path):
    table = read_ledger(written(tmp_path, "name,public_score\na,.95,\nb,.9,,\nc\n"))
    assert table["public_score"].dropna().to_dict() == {"a": 0.95, "b": 0.9}
    with pytest.raises(ArtifactRefusal, match="line 3 has 4 cells, the header 2"):
        read_ledger(written(tmp_path, "name,public_score\na,.95\nb,.9,.8,.7\n"))


def test_one_of_the_scores_will_do(tmp_path: Path):
    table = read_ledger(written(tmp_path, "name,public_score\nmini_logit_mean,0.93\n"))
    assert table.loc["mini_logit_mean", "public_score"] == 0.93 and table["private_score"].isna().all()
    with pytest.raises(ArtifactRefusal, match="lacks the column name"):
        read_ledger(written(tmp_path, "public_score\n0.93\n"))


def test_scores_are_numbers_to_reckon_with(tmp_path: Path):
    table = read_ledger(written(tmp_path, "name,public_score,private_score\na,.9,\n"))
    assert table.dtypes.tolist() == [np.dtype("float64")] * 2


OURS = ",".join(COLUMNS)
FULL = "2026-11-21T12:00:00Z,a,a.csv,0f,a | hb-0000000000-20261121T120000Z,blend,f,.91,.88,.93,.95,.9,complete,7,\n"


def test_a_ledger_from_a_spreadsheet_program_is_read_and_keeps_its_dialect(tmp_path: Path):
    path = tmp_path / "submissions.csv"
    path.write_bytes("\ufeffname;public_score;note\r\nmini;0,93;a,b\r\nvgg;0,9;\r\n".encode())
    assert read_ledger(path)["public_score"].to_dict() == {"mini": 0.93, "vgg": 0.9}
    change_ledger(path, lambda ledger: ledger.changed(1, {"public_score": "0.91234"}).added({"name": "new"}))
    lines = path.read_bytes().decode().split("\r\n")
    assert lines[0].startswith("\ufeffname;public_score;note;when;") and lines[1].startswith("mini;0,93;a,b;")
    assert lines[2].startswith("vgg;0,91234;;") and lines[3].startswith("new;;;") and lines[4:] == [""]
    assert read_ledger(path)["public_score"].dropna().to_dict() == {"mini": 0.93, "vgg": 0.91234}


def test_a_line_by_hand_stays_as_it_was_written(tmp_path: Path):
    path = written(tmp_path, "name,public_score,private_score\na,.950,\n\nb,.9")
    change_ledger(path, lambda ledger: ledger)
    assert path.read_text().endswith("\n\nb,.9"), "unchanged, so not written"
    change_ledger(path, lambda ledger: ledger.added({"name": "c", "public_score": "0.8"}))
    assert [line.split(",")[:3] for line in path.read_text().splitlines()] == [
        ["name", "public_score", "private_score"], ["a", ".950", ""], ["b", ".9", ""], ["c", "0.8", ""],
    ]  # fmt: skip
    assert [one.name for one in read_submissions(path)] == ["a", "b", "c"]


@pytest.mark.parametrize("end", ["2026-11-21T13:00:00Z,b,,,,,,,,,0.9", FULL.rstrip()])
def test_a_last_line_without_its_end_loses_nothing(tmp_path: Path, end: str):
    path = written(tmp_path, f"{OURS}\n{FULL}{end}")
    change_ledger(path, lambda ledger: ledger.added({"name": "c", "public_score": "0.8"}))
    lines = path.read_text().splitlines()
    assert len(lines) == 4 and lines[2].startswith(end)


def test_columns_of_one_name_are_refused_and_nothing_is_lost(tmp_path: Path):
    text = "name,note,public_score,note\nvgg,first,0.9,second\n"
    path = written(tmp_path, text)
    with pytest.raises(ArtifactRefusal, match="several columns called 'note'"):
        change_ledger(path, lambda ledger: ledger.added({"name": "b"}))
    assert path.read_text() == text


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path):
    path = written(tmp_path, "name,public_score\nvgg,0.9\n")
    with pytest.raises(ArtifactRefusal, match=r"1\.52"):
        change_ledger(path, lambda ledger: ledger.changed(0, {"public_score": "1.52"}))
    assert path.read_text() == "name,public_score\nvgg,0.9\n"


def test_what_kaggle_lists_is_entered_once(tmp_path: Path):
    path, cells = tmp_path / "submissions.csv", {"name": "a", "ref": "7"}
    for _ in range(2):
        change_ledger(path, lambda ledger: ledger.added_once(cells))
    assert len(read_submissions(path)) == 1


def test_a_ledger_that_cannot_be_locked_is_refused(tmp_path: Path):
    (tmp_path / ".submissions.csv.lock").mkdir()
    with pytest.raises(MachineRefusal, match=r"submissions\.csv"):
        change_ledger(tmp_path / "submissions.csv", lambda ledger: ledger.added({"name": "b"}))


def test_two_who_write_at_once_lose_no_line(tmp_path: Path):
    path = tmp_path / "submissions.csv"

    def add(number: int) -> None:
        for place in range(5):
            name = f"{number}-{place}"
            change_ledger(path, lambda ledger, name=name: ledger.added({"name": name}))

    writers = [Thread(target=add, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({one.name for one in read_submissions(path)}) == 20


def test_a_broken_ledger_is_left_as_it_is(tmp_path: Path):
    path = written(tmp_path, "name,public_score\na,high\n")
    with pytest.raises(ArtifactRefusal, match="'high'"):
        change_ledger(path, lambda ledger: ledger.added({"name": "b"}))
    assert path.read_text() == "name,public_score\na,high\n"
    with pytest.raises(ArtifactRefusal, match="cannot be read"):
        read_ledger(written(tmp_path, 'name,public_score\n"a,.9\nb,.8\n'))
