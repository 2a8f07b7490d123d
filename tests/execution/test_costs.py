"""Time left: estimates first, measurement afterwards."""

from __future__ import annotations

import pytest

from histoblend.execution.costs import Clock, Estimate


def test_time_left_goes_from_estimates_to_measurement():
    clock = Clock([Estimate("a", "keras", 10.0), Estimate("a", "keras", 10.0), Estimate("b", "keras", 100.0)])
    assert clock.left() == 120.0
    assert clock.left(share_done=0.5) == 115.0
    clock.finish(30.0)  # three times the estimate: so are b's chances
    assert clock.next_task() == 30.0
    assert clock.left() == 30.0 + 300.0
    clock.finish(10.0)
    assert clock.next_task() == pytest.approx(100.0)
    clock.finish(1.0)
    assert clock.left() == clock.next_task() == 0.0


def test_an_estimator_tells_nothing_about_networks():
    clock = Clock([Estimate("trees", "features", 1.0), Estimate("net", "keras", 100.0)])
    clock.finish(50.0)
    assert clock.left() == 100.0
