"""Time left: estimates first, measurement afterwards, the nearest witness before all others."""

from __future__ import annotations

import pytest

from histoblend.execution.clock import Clock, Estimate, Seconds


def net(name: str, training: float = 100.0, prediction: float = 10.0, fold: int = 0) -> Estimate:
    return Estimate(name, "keras", training, prediction, start=20.0, epochs=4, fold=fold)


A, A1, B, TREES = net("a"), net("a", fold=1), net("b", 200.0, 40.0), Estimate("trees", "features", 1.0)


def test_time_left_goes_from_estimates_to_measurement():
    plain = [
        Estimate("a", "keras", 10.0),
        Estimate("a", "keras", 10.0, fold=1),
        Estimate("b", "keras", 100.0),
    ]
    clock = Clock(plain)
    assert clock.left() == 120.0
    assert clock.left(share_done=0.5) == 115.0
    clock.finish(30.0)  # three times the estimate: so are b's chances
    assert clock.left() == 30.0 + 300.0
    clock.finish(10.0)
    assert clock.left() == pytest.approx(200.0)  # of both folds of a together: twice
    clock.finish(1.0)
    assert clock.left() == 0.0


def test_an_estimator_tells_nothing_about_networks():
    clock = Clock([TREES, A])
    clock.finish(50.0)
    assert clock.left() == 110.0


def test_training_and_prediction_are_corrected_apart():
    clock = Clock([B])
    clock.learn(A, Seconds(300.0, 5.0))  # of an earlier session: none of the tasks to be done
    assert clock.expected(B) == Seconds(600.0, 20.0)
    clock.learn(net("b", 200.0, 40.0, fold=1), Seconds(70.0, 7.0))  # another fold of b itself
    assert clock.expected(B) == Seconds(70.0, 7.0)


def test_a_begun_task_needs_its_start_and_the_rest_by_its_own_epochs():
    clock = Clock([A, A1, B])
    clock.learn(A1, Seconds(1000.0, 5.0))
    clock.learn_epochs(A, [300.0, 31.0, 29.0])  # the first one compiles
    assert clock.expected(A) == Seconds(20.0 + 30.0, 5.0)
    assert clock.epoch(A) == 30.0
    assert clock.left(share_done=0.75) == 0.25 * 140.0 + 5.0 + 1005.0 + clock.expected(B).total


def test_epochs_of_a_begun_task_speak_for_its_other_folds_and_then_for_others():
    clock = Clock([A, A1, B])
    clock.learn_epochs(A, [90.0])  # 70 without its start; as a whole 20 + 280, three times the estimate
    assert clock.expected(A1) == Seconds(300.0, 30.0)
    assert clock.expected(B) == Seconds(600.0, 120.0)
    assert clock.epoch(B) == (600.0 - 20.0) / 4


def test_the_task_that_was_started_is_the_one_whose_share_is_done():
    clock = Clock([A, B])
    clock.start(B)
    assert clock.left(share_done=0.5) == 110.0 + 100.0 + 40.0
    clock.pause(B)
    assert clock.left(share_done=0.5) == 50.0 + 10.0 + 240.0


def test_a_first_epoch_is_not_taken_for_the_others():
    """24 epochs of 80 s and 240 s of compiling: 2,240 s are left after the first, not 7,600."""
    task = Estimate("a", "keras", 500.0, 0.0, start=240.0, epochs=24)
    for epochs in (1, 2, 3):
        clock = Clock([task])
        clock.learn_epochs(task, [320.0, 80.0, 80.0][:epochs])
        assert clock.expected(task).total == 240.0 + (24 - epochs) * 80.0
    clock.learn_epochs(task, [100.0])  # shorter than its start is thought to be
    assert clock.epoch(task) == 25.0


def test_epochs_of_running_tasks_correct_what_is_left():
    """Four times slower than was thought: known at the first task's second epoch, not at its end."""
    clock = Clock([A, A1, B])
    clock.start(A)
    for number in (1, 2):
        clock.learn_epoch(A, number, 80.0 if number > 1 else 100.0)
        clock.reached(A, number / 4)
    assert clock.remaining(A) == 340.0 / 2 + 34.0
    assert clock.expected(A1) == Seconds(340.0, 34.0)
    assert clock.expected(B).training == 680.0


def test_a_fold_that_bears_more_than_the_others_is_measured_against_its_own_estimate():
    """An estimator describes all patches in its first fold."""
    trees = [Estimate("trees", "features", seconds, fold=fold) for fold, seconds in enumerate((400.0, 10.0))]
    clock = Clock(trees)
    clock.finish(800.0)
    assert clock.left() == 20.0


def test_side_by_side_the_longest_task_is_the_least_there_is_to_wait():
    clock = Clock([A, A1, B], lanes=2)
    assert clock.left() == 240.0
    clock.reached(B, 0.5)
    assert clock.left() == (110.0 + 110.0 + 100.0 + 40.0) / 2
    clock.finish(100.0, 10.0, A)
    assert clock.left() == 140.0
