"""How a rate is read off the steps of a training."""

from __future__ import annotations

import pytest

from histoblend.trials.speeds import WARM_STEPS, MeasuredRate, Stopwatch


def rate_of(step_seconds: dict[int, float], told: list[int], seconds: float = 2.0) -> float:
    """The measured rate where step k takes `step_seconds[k]` (else .1 s) and only the steps in `told` are told."""
    times = [0.0]
    for step in range(1, 1000):
        times.append(times[-1] + step_seconds.get(step, 0.1))
    now = 0.0
    watch = Stopwatch(seconds, 32, clock=lambda: now)
    for step in told:
        now = times[step]
        try:
            watch.on_step(0, step, 0.5)
        except MeasuredRate as rate:
            return rate.images_per_second
    raise AssertionError("never measured")


def test_the_slow_first_steps_do_not_count():
    tracing = {1: 30.0, 2: 3.0}
    assert rate_of(tracing, list(range(1, 200))) == pytest.approx(320)


def test_steps_may_be_told_of_now_and_then():
    assert rate_of({1: 30.0}, [1, WARM_STEPS + 4, WARM_STEPS + 13, WARM_STEPS + 40]) == pytest.approx(320)


def test_slow_steps_are_measured_over_one_at_least():
    slow = dict.fromkeys(range(1, 10), 8.0)
    assert rate_of(slow, list(range(1, 10))) == pytest.approx(4.0)
