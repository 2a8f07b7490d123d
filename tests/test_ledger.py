"""The ledger of submissions: what a leaderboard has answered, read strictly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histoblend.errors import ArtifactRefusal
from histoblend.ledger import SCORES, read_ledger


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
