"""The parts of a submission that know neither files nor services."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from histoblend.errors import ConfigRefusal
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.failures import CallFailure
from histoblend.kaggle.submitting.description import (
    LONGEST,
    CrossValidation,
    attempt_mark,
    checked_message,
    described,
    is_of_file,
    mark_of,
    told_by,
)
from histoblend.kaggle.submitting.earlier import earlier_of, settles
from histoblend.kaggle.submitting.matching import completed, matched
from histoblend.kaggle.submitting.sending import never_arrived
from histoblend.kaggle.submitting.slots import slots_of, until
from histoblend.ledger import Submission

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MARK = attempt_mark("0123456789abcdef", NOON)


def listed(ref: int, description: str = "", **changes: object) -> ListedSubmission:
    values = {"date": NOON, "file_name": "submission.csv", "status": "complete", "public_score": 0.9,
              "private_score": None, "error": ""}  # fmt: skip
    return ListedSubmission(ref=ref, description=description, **{**values, **changes})  # type: ignore[arg-type]


def test_a_description_tells_what_was_put_into_it():
    assert MARK == "hb-0123456789-20261121T120000Z"
    scored = CrossValidation(0.91236, 0.88, 0.935)
    made = described("kernels/3: mini", scored, "my word", MARK)
    assert made == f"{MARK} | kernels/3: mini | CV 0.9124 [0.880 0.935] | my word"
    assert told_by(made) == ("kernels/3: mini", CrossValidation(0.9124, 0.88, 0.935))
    assert (
        mark_of(made) == MARK
        and is_of_file(made, "0123456789ffffff")
        and not is_of_file(made, "1123456789ab")
    )
    assert told_by("mini | CV 0.9000, by hand")[0] == ""


def test_a_long_name_is_cut_and_the_mark_is_not():
    made = described("n" * 300, CrossValidation(0.5), "w" * 80, MARK)
    assert len(made) == LONGEST and made.startswith(MARK) and told_by(made)[1].auc == 0.5
    with pytest.raises(ConfigRefusal, match="81 letters"):
        checked_message("w" * 81)


def test_slots_are_those_of_the_utc_day():
    tokyo = timezone(timedelta(hours=9))
    there = [datetime(2026, 11, *clock, tzinfo=tokyo) for clock in ((22, 8, 59), (22, 7), (21, 8, 59))]
    dates = [NOON, NOON.replace(hour=0), NOON - timedelta(days=1), *there]
    rows = [listed(number, date=date) for number, date in enumerate(dates)] + [listed(9, status="error")]
    slots = slots_of(rows, 5, NOON.astimezone(tokyo))
    assert (slots.used, slots.failed, slots.left) == (4, 1, 1)
    assert slots.turns == datetime(2026, 11, 22, tzinfo=UTC) and until(slots.turns, NOON) == "in 12 h 00 min"
    assert slots_of(rows * 3, 5, NOON).left == 0


def test_matching_by_ref_then_mark_then_description_then_by_hand():
    lines = [
        Submission(0, "a", ref="1", description="renamed since"),
        Submission(1, "b", description=f"b | {MARK}"),
        Submission(2, "c", description="typed  by hand"),
        Submission(3, "vgg", public_score=0.9312),
        Submission(4, "gone", ref="77"),
    ]
    rows = [listed(1, "x"), listed(2, f"cut off b | {MARK}"), listed(3, "typed by hand"),
            listed(4, "vgg, five folds", public_score=0.93118), listed(5, "other")]  # fmt: skip
    pairs = matched(lines, rows)
    found = [
        (pair.line.name if pair.line else None, pair.listed.ref if pair.listed else None) for pair in pairs
    ]
    assert found == [("a", 1), ("b", 2), ("c", 3), ("vgg", 4), ("gone", None), (None, 5)]


@pytest.mark.parametrize(
    ("description", "score"),
    [("vgg16", 0.9312), ("my_vgg", 0.9312), ("vgg", 0.95), (f"vgg | {MARK}", 0.9312)],
)
def test_a_line_by_hand_is_matched_without_doubt_or_not_at_all(description: str, score: float):
    line = Submission(0, "vgg", public_score=0.9312)
    assert len(matched([line], [listed(1, description, public_score=score)])) == 2
    twice = [listed(1, "vgg", public_score=0.9312), listed(2, "vgg again", public_score=0.9312)]
    assert len(matched([line], twice)) == 3


def test_a_line_is_completed_and_nothing_is_taken_from_it():
    line = Submission(0, "vgg", public_score=0.93, private_score=0.92)
    cells = completed(line, listed(4, public_score=0.93018))
    assert cells == {
        "ref": "4",
        "status": "complete",
        "when": "2026-11-21T12:00:00Z",
        "public_score": "0.93018",
    }
    same = Submission(0, "vgg", "2026-11-21T12:00:00Z", status="complete", ref="4", public_score=0.93018)
    assert completed(same, listed(4, public_score=0.93018)) == {}


@pytest.mark.parametrize(
    ("call", "certain"),
    [
        ("StartSubmissionUpload", True),
        ("submission-url", True),  # the same in 1.7
        ("CreateSubmission", False),
        ("histopathologic-cancer-detection", False),  # the same in 1.7: .../submissions/submit/<competition>
        ("", False),
    ],
)
def test_what_is_certain_of_a_call_that_broke_off(call: str, certain: bool):
    for kind in ("dropped", "server", "stalled"):
        assert never_arrived(CallFailure({"kind": kind, "call": call}, "", ("", "", ""))) == certain
    assert never_arrived(CallFailure({"kind": "forbidden", "call": call}, "", ("", "", "")))


def test_what_is_known_of_the_same_bytes():
    own = Submission(0, "a", "2026-11-21T11:55:00Z", file_hash="0123456789abcdef", status="sending")
    foreign = listed(3, f"a team mate's | {MARK}", status="pending")
    earlier = earlier_of(matched([own], [foreign, listed(4, "unmarked")]), "0123456789abcdef")
    assert earlier.waiting is not None and earlier.waiting.listed is foreign and earlier.doubtful == (own,)
    assert settles(own) == NOON + timedelta(minutes=5)
    scored = Submission(1, "a", file_hash="0123456789abcdef", status="complete", public_score=0.9)
    assert earlier_of(matched([scored], []), "0123456789abcdef").scored is not None
    assert earlier_of(matched([scored], []), "1" * 16).scored is None and math.isnan(scored.private_score)
