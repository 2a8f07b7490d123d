from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from histoblend.competition.digits import read_digits


def test_the_bundled_digits_with_their_last_fifth_held_out() -> None:
    competition = read_digits()
    labels = load_digits().target
    assert (competition.layout, competition.name) == ("digits", "digits")
    assert competition.classes == tuple("0123456789")
    assert (competition.root / "digits.csv.gz").is_file()
    assert len(competition.train) == 1437 and len(competition.test) == 360
    assert competition.train["id"].iloc[0] == "digit_0000" and competition.test["id"].iloc[-1] == "digit_1796"
    assert set(competition.train["path"]) == set(competition.test["path"]) == {"sklearn:digits"}
    np.testing.assert_array_equal(competition.train["row"], np.arange(1437))
    np.testing.assert_array_equal(competition.test["row"], np.arange(1437, 1797))
    np.testing.assert_array_equal(competition.train["label"], labels[:1437])
    assert competition.train["label"].dtype == "int64"
    assert sum(competition.class_counts().values()) == 1437


def test_the_held_out_digits_are_scored_and_never_submitted() -> None:
    competition = read_digits()
    assert competition.known_labels is not None and competition.sample is not None
    assert list(competition.known_labels["id"]) == list(competition.test["id"])
    np.testing.assert_array_equal(competition.known_labels["label"], load_digits().target[1437:])
    assert len(competition.sample) == 0
    assert any("360 patches are held out" in note for note in competition.notes)
    assert any("folds share writers" in note for note in competition.notes)
