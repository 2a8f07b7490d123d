from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from histoblend.competition.digits import EVERYONE_BEGINS_WITH, read_digits, writer_runs


def test_the_bundled_digits_with_their_last_two_hands_held_out() -> None:
    competition = read_digits()
    labels = load_digits().target
    assert (competition.layout, competition.name) == ("digits", "digits")
    assert competition.classes == tuple("0123456789")
    assert (competition.root / "digits.csv.gz").is_file()
    assert len(competition.train) == 1415 and len(competition.test) == 382
    assert competition.train["id"].iloc[0] == "digit_0000" and competition.test["id"].iloc[-1] == "digit_1796"
    assert set(competition.train["path"]) == set(competition.test["path"]) == {"sklearn:digits"}
    np.testing.assert_array_equal(competition.train["row"], np.arange(1415))
    np.testing.assert_array_equal(competition.test["row"], np.arange(1415, 1797))
    np.testing.assert_array_equal(competition.train["label"], labels[:1415])
    assert competition.train["label"].dtype == "int64"
    assert sum(competition.class_counts().values()) == 1415


def test_a_hand_begins_where_the_labels_start_over() -> None:
    labels = np.array([7, *EVERYONE_BEGINS_WITH, 3, 0, 1, 2, *EVERYONE_BEGINS_WITH, 5])
    assert writer_runs(labels).tolist() == [0] * 35 + [1] * 31
    slides = read_digits().slides
    assert (
        slides is not None
        and slides.nunique() == 10
        and list(slides.index) == list(read_digits().train["id"])
    )
    assert slides.value_counts().min() > 100


def test_the_held_out_digits_are_scored_and_never_submitted() -> None:
    competition = read_digits()
    assert competition.known_labels is not None and competition.sample is not None
    assert list(competition.known_labels["id"]) == list(competition.test["id"])
    np.testing.assert_array_equal(competition.known_labels["label"], load_digits().target[1415:])
    assert len(competition.sample) == 0
    assert any("382 patches are held out" in note for note in competition.notes)
    assert any("a new hand begins" in note for note in competition.notes)
