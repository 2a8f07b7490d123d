from __future__ import annotations

import pytest

from histoblend.training.selection import best_epoch, is_new_best, should_stop


def test_the_first_of_equal_epochs_is_the_best():
    assert best_epoch([0.5, 0.9, 0.7, 0.9]) == 1


@pytest.mark.parametrize(
    ("aucs", "new"), [([0.5], True), ([0.5, 0.6], True), ([0.6, 0.6], False), ([0.6, 0.5], False)]
)
def test_only_a_better_epoch_is_a_new_best(aucs: list[float], new: bool):
    assert is_new_best(aucs) is new


@pytest.mark.parametrize(
    ("aucs", "patience", "stops"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.6, 0.5], 1, True),
        ([0.6, 0.5], 2, False),
        ([0.6, 0.5, 0.6], 2, True),
        ([0.6, 0.5, 0.7], 2, False),
        ([0.6, 0.5, 0.4, 0.3], None, False),
    ],
)
def test_training_stops_after_patience_epochs_without_a_better_one(aucs, patience, stops):
    assert should_stop(aucs, patience) is stops
