from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.errors import ArtifactRefusal
from histoblend.inference import tables
from histoblend.inference.tables import (
    out_of_fold_table,
    read_out_of_fold,
    read_test,
    write_out_of_fold,
    write_test,
)

FOLDS = pd.DataFrame(
    {"id": [f"00{n}" for n in range(8)], "label": [0, 1] * 4, "fold": [0, 0, 1, 1] * 2, "slide": "s"}
)
LOGITS = np.array([-800.0, 3, 1e-17, 0.1, -1 / 3, 40, 800, 2])[:, None]
IDS = pd.Series([f"00{n}" for n in range(3)])
PATH = Path("table.csv")


def table() -> pd.DataFrame:
    return out_of_fold_table(FOLDS, LOGITS)


def test_probabilities_are_one_sigmoid_of_the_logits_without_overflow():
    with np.errstate(all="raise", under="ignore"):
        probabilities = table()["probability"]
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-LOGITS[:, 0])), atol=1e-300)
    assert list(table().columns) == ["id", "label", "fold", "logit", "probability"]


def test_rows_come_back_joined_by_id_to_the_last_bit(tmp_path: Path):
    shuffled = table().sample(frac=1, random_state=3)
    write_out_of_fold(tmp_path / PATH, shuffled, FOLDS)
    pd.testing.assert_frame_equal(read_out_of_fold(tmp_path / PATH, FOLDS), table())
    write_test(tmp_path / PATH, tables.test_table(IDS[::-1], np.array([[3.0], [2.0], [1.0]])), IDS)
    assert read_test(tmp_path / PATH, IDS)["logit"].tolist() == [1.0, 2.0, 3.0]


def test_ids_of_digits_stay_text(tmp_path: Path):
    write_test(tmp_path / PATH, tables.test_table(IDS, np.zeros((3, 1))), IDS)
    assert read_test(tmp_path / PATH, IDS)["id"].tolist() == ["000", "001", "002"]


def test_more_classes_have_a_column_each_and_a_softmax(tmp_path: Path):
    logits = np.random.default_rng(0).normal(size=(8, 3)) * 300
    labels = FOLDS.assign(label=[0, 1, 2, 0, 1, 2, 0, 1])
    write_out_of_fold(tmp_path / PATH, out_of_fold_table(labels, logits)[::-1], labels)
    again = read_out_of_fold(tmp_path / PATH, labels)
    assert list(again.columns)[3:] == [f"{kind}_{k}" for kind in ("logit", "probability") for k in range(3)]
    np.testing.assert_array_equal(tables.table_logits(again), logits)
    np.testing.assert_allclose(again.iloc[:, 6:].sum(axis=1), 1)
    assert (again.iloc[:, 6:].to_numpy().argmax(axis=1) == logits.argmax(axis=1)).all()


def changed(column: str, value: object) -> pd.DataFrame:
    frame = table().astype({column: object})
    frame.loc[3, column] = value
    return frame.infer_objects()


VIOLATIONS = {
    "lacks": (table().drop(index=3), "lacks ids: 003"),
    "twice": (pd.concat([table(), table()[3:4]]), "more than once: 003"),
    "foreign": (pd.concat([table(), table()[3:4].assign(id="zzz")]), "foreign ids: zzz"),
    "not a number": (changed("logit", np.nan), "no finite number for 003"),
    "infinite": (changed("logit", np.inf), "no finite number for 003"),
    "contradiction": (changed("probability", 0.123), "contradict each other for 003"),
    "word as label": (changed("label", "one"), "another label than folds.csv for 003"),
    "another label": (changed("label", 0), "another label than folds.csv for 003"),
    "another fold": (changed("fold", 0), "another fold than folds.csv for 003"),
    "columns": (table().drop(columns="fold"), "columns"),
    "order of columns": (table()[["label", "id", "fold", "logit", "probability"]], "columns"),
}


@pytest.mark.parametrize(("frame", "message"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_writer_and_reader_refuse_what_breaks_the_contract(tmp_path: Path, frame: pd.DataFrame, message: str):
    with pytest.raises(ArtifactRefusal, match=message):
        write_out_of_fold(tmp_path / PATH, frame, FOLDS)
    assert not (tmp_path / PATH).exists()
    frame.to_csv(tmp_path / PATH, index=False)
    with pytest.raises(ArtifactRefusal, match=message):
        read_out_of_fold(tmp_path / PATH, FOLDS)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["000", "001"], "lacks ids: 002"),
        (["000", "001", "002", "002"], "more than once: 002"),
        (["000", "001", "002", "003"], "foreign ids: 003"),
    ],
)
def test_a_test_table_holds_every_test_id_once(tmp_path: Path, ids: list[str], message: str):
    frame = tables.test_table(pd.Series(ids), np.arange(len(ids), dtype=float)[:, None])
    with pytest.raises(ArtifactRefusal, match=message):
        write_test(tmp_path / PATH, frame, IDS)
    frame.to_csv(tmp_path / PATH, index=False)
    with pytest.raises(ArtifactRefusal, match=message):
        read_test(tmp_path / PATH, IDS)


@pytest.mark.parametrize("content", ["", "id,logit,probability\n000,abc,0.5\n", '"', "\0\0\0"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: str):
    (tmp_path / PATH).write_text(content)
    with pytest.raises(ArtifactRefusal, match=r"table\.csv"):
        read_test(tmp_path / PATH, IDS)


def test_a_missing_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ArtifactRefusal, match=r"table\.csv"):
        read_out_of_fold(tmp_path / PATH, FOLDS)
