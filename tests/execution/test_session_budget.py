"""A session's budget: when it began, what is kept back of it, how many sessions tasks take."""

from __future__ import annotations

import time

import pytest

from histoblend.errors import ConfigRefusal
from histoblend.execution.session_budget import (
    STARTED,
    SessionBudget,
    session_started,
    sessions_needed,
    tail_seconds,
)


def test_what_is_left_follows_the_clock():
    assert SessionBudget(100.0, 60.0, lambda: 70.0).left() == 30.0


def test_a_session_began_when_this_run_did_or_when_the_environment_says():
    assert session_started({}, 50.0) == 50.0
    now = time.monotonic()
    for prepared in (0.0, 60.0):  # seconds since this run began do not count twice
        began = session_started({STARTED: str(time.time() - 600)}, now - prepared)
        assert began == pytest.approx(now - 600, abs=5)
    assert session_started({STARTED: str(time.time() + 0.5)}, now) == now  # a clock that was set


@pytest.mark.parametrize("text", ["noon", "99999999999"])
def test_a_beginning_that_is_none_is_refused(text: str):
    with pytest.raises(ConfigRefusal, match=STARTED):
        session_started({STARTED: text}, 0.0)


def test_the_tail_bears_four_times_what_was_measured_at_full_size():
    """30 members at 220,025 + 57,458 patches: 113 s of blending and 25 s of report."""
    full = tail_seconds(277_483, 30, report=True)
    assert 4 * 138 < full < 4 * 138 + 61
    assert tail_seconds(277_483, 5, report=False) < tail_seconds(277_483, 5, report=True) < full
    assert tail_seconds(100, 1, report=False, packed_bytes=3e9) - tail_seconds(100, 1, False) == 100.0


def test_a_cut_costs_a_start_in_each_session_and_too_short_ones_lead_nowhere():
    assert sessions_needed([25.0], 10.0, 1, restart=4.0) == 4  # 10, then 6 of each: 25, 19, 13, 7
    assert sessions_needed([25.0], 10.0, 1, restart=10.0) is None


@pytest.mark.parametrize(
    ("tasks", "session", "lanes", "sessions"),
    [
        ([], 10.0, 1, 0),
        ([4.0, 4.0, 4.0], 10.0, 1, 2),
        ([6.0, 6.0, 4.0], 10.0, 1, 2),  # the small one fits behind the first
        ([25.0], 10.0, 1, 3),  # cut
        ([4.0, 25.0], 10.0, 1, 3),  # 6 of it in the first session, 10, 9
        ([4.0, 4.0, 4.0], 10.0, 2, 1),
        ([10.0] * 4, 10.0, 2, 2),
        ([25.0, 5.0], 10.0, 2, 3),
        ([1.0], 0.0, 1, None),
        ([1.0, 1.0], -1.0, 2, None),
        ([], -1.0, 1, 0),
    ],
)
def test_sessions_that_tasks_take(tasks: list[float], session: float, lanes: int, sessions: int | None):
    assert sessions_needed(tasks, session, lanes) == sessions
