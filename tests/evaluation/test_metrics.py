"""What an experiment scored."""

from __future__ import annotations

import pandas as pd

from histoblend.evaluation.metrics import local_leaderboard


def test_the_local_leaderboard_is_joined_by_id():
    test = pd.DataFrame({"id": list("abcd"), "logit": [4.0, 3.0, 2.0, 1.0]})
    solution = pd.DataFrame({"id": list("dcba"), "label": [0, 0, 1, 1]})
    assert local_leaderboard(test, solution) == 1.0
    assert local_leaderboard(test, None) is None
    assert local_leaderboard(test, None) is None


def test_only_patches_of_known_label_are_scored_and_one_class_alone_is_not():
    test = pd.DataFrame({"id": list("abcd"), "logit": [4.0, 3.0, 2.0, 1.0]})
    assert local_leaderboard(test, pd.DataFrame({"id": ["a", "b"], "label": [0, 1]})) == 0.0
    assert local_leaderboard(test, pd.DataFrame({"id": ["a", "b"], "label": [1, 1]})) is None
