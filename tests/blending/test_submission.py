from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.blending.members import MemberLogits
from histoblend.blending.submission import (
    FEWEST_TO_JUDGE,
    check_submission,
    submission_table,
    write_submission,
)
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.metrics import Scoring

TEST = pd.DataFrame({"id": ["001", "002", "003", "004"], "logit": [0.5, -2.0, -2.0, 900.0]})
SAMPLE = pd.DataFrame({"id": ["003", "001", "004", "002"], "label": 0})
MEMBERS = MemberLogits(("a",), np.empty((0, 1, 1)), TEST[["logit"]].to_numpy()[..., None])
NAMES = ("no tumour", "tumour")
SCORING = Scoring(pd.DataFrame(), TEST["id"], SAMPLE, None, NAMES, {})


def table(scale: str = "rank", sample: pd.DataFrame | None = SAMPLE) -> pd.DataFrame:
    return submission_table(TEST, sample, scale, NAMES)


def test_ranks_in_the_order_and_columns_of_the_sample_ties_kept():
    assert list(table().columns) == ["id", "label"]
    assert table()["id"].tolist() == SAMPLE["id"].tolist()
    assert table()["label"].tolist() == [0.375, 0.75, 1.0, 0.375]
    assert table()["label"].gt(0).all() and table()["label"].max() == 1.0
    named = table(sample=SAMPLE.rename(columns={"id": "image", "label": "score"}))
    assert list(named.columns) == ["image", "score"]


def test_probabilities_rank_as_the_logits_do():
    values = table("probability").set_index("id")["label"]
    assert values["002"] == values["003"] == pytest.approx(1 / (1 + np.exp(2)))
    assert values["004"] == 1.0


def test_without_a_sample_the_order_is_that_of_the_test_table():
    assert table(sample=None)["id"].tolist() == TEST["id"].tolist()


def test_what_is_written_is_what_was_checked(tmp_path: Path):
    write_submission(tmp_path / "submission.csv", table(), SCORING, TEST, MEMBERS)
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert lines == ["id,label", "003,0.375", "001,0.75", "004,1.0", "002,0.375"]


def values(*numbers: float) -> pd.DataFrame:
    return table().assign(label=numbers)


WRONG = {
    "missing id": (table()[:3], "ids are wrong: 002"),
    "foreign id": (table().replace({"id": {"002": "009"}}), "ids are wrong: 002, 009"),
    "id twice": (pd.concat([table(), table()[:1]]), "ids are wrong"),
    "no number": (values(np.nan, 0.1, 0.2, 0.3), "no numbers from 0 to 1"),
    "out of range": (values(1.5, 0.1, 0.2, 0.3), "no numbers from 0 to 1"),
    "constant": (values(0.5, 0.5, 0.5, 0.5), "constant"),
    "out of order": (table()[::-1], "out of order"),
}


@pytest.mark.parametrize(("frame", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_submission_is_refused_before_it_is_written(
    tmp_path: Path, frame: pd.DataFrame, message: str
):
    with pytest.raises(ArtifactRefusal, match=message):
        write_submission(tmp_path / "submission.csv", frame, SCORING, TEST, MEMBERS)
    assert not (tmp_path / "submission.csv").exists()


def test_a_repeated_id_is_named():
    with pytest.raises(ArtifactRefusal, match="003"):
        check_submission(pd.concat([table(), table()[:1]]), SCORING, TEST, MEMBERS)


def many(count: int) -> tuple[pd.DataFrame, Scoring]:
    """A test table of `count` patches, and what it is scored by."""
    test = pd.DataFrame({"id": [f"{number:03d}" for number in range(count)], "logit": np.arange(count) / 7})
    return test, replace(SCORING, test_ids=test["id"], sample=None)


def test_a_member_it_ranks_against_is_named():
    test, scoring = many(FEWEST_TO_JUDGE)
    logits = test[["logit"]].to_numpy()[..., None]
    members = MemberLogits(("good", "bad"), np.empty((0, 2, 1)), np.concatenate([logits, -logits], axis=1))
    with pytest.raises(ArtifactRefusal, match="member bad"):
        check_submission(submission_table(test, None, "rank", NAMES), scoring, test, members)


def test_of_a_few_patches_direction_is_not_judged():
    """Members near chance contradict each other on three test patches: no reason to lose a whole run."""
    test, scoring = many(FEWEST_TO_JUDGE - 1)
    members = MemberLogits(("a",), np.empty((0, 1, 1)), -test[["logit"]].to_numpy()[..., None])
    check_submission(submission_table(test, None, "rank", NAMES), scoring, test, members)


def test_equal_test_patches_may_have_equal_values():
    same = TEST.assign(logit=0.5)
    members = MemberLogits(("a",), np.empty((0, 1, 1)), same[["logit"]].to_numpy()[..., None])
    check_submission(submission_table(same, SAMPLE, "rank", NAMES), SCORING, same, members)


def test_held_out_patches_are_predicted_and_not_submitted(tmp_path: Path):
    scoring = replace(SCORING, sample=SAMPLE[:2])
    submitted = submission_table(TEST, scoring.sample, "rank", NAMES)
    write_submission(tmp_path / "submission.csv", submitted, scoring, TEST, MEMBERS)
    assert submitted["id"].tolist() == ["003", "001"] and submitted["label"].tolist() == [0.5, 1.0]
    assert not replace(SCORING, sample=SAMPLE[:0]).submits


def test_of_many_classes_the_most_probable_ones_name_is_submitted(tmp_path: Path):
    logits = np.array([[0.0, 1.0, 9.0], [5.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]])
    names = ("NA", "car", "truck")
    test = pd.DataFrame({"id": TEST["id"], **{f"logit_{k}": logits[:, k] for k in range(3)}})
    scoring = replace(SCORING, classes=names)
    table = submission_table(test, SAMPLE, "rank", names)
    assert table["label"].tolist() == ["car", "truck", "truck", "NA"]
    write_submission(tmp_path / "submission.csv", table, scoring, test, MEMBERS)
    with pytest.raises(ArtifactRefusal, match="foreign classes: bus"):
        check_submission(table.replace({"label": {"car": "bus"}}), scoring, test, MEMBERS)
