from __future__ import annotations

from histoblend.reporting.time_left import TimeLeft


def told(moments: list[tuple[float, int]], total: int) -> tuple[list[str], list[tuple[int, int]]]:
    """What is said and counted at (seconds, done)."""
    lines: list[str] = []
    counts: list[tuple[int, int]] = []
    times = iter([0.0, *(seconds for seconds, _ in moments)])
    counter = TimeLeft(lambda done, all_: counts.append((done, all_)), lines.append, lambda: next(times))
    for _, done in moments:
        counter(done, total)
    return lines, counts


def test_it_guesses_from_the_pace_so_far_now_and_then() -> None:
    lines, counts = told([(1, 10), (20, 100), (30, 150), (85, 500), (100, 1000)], 1000)
    assert lines == ["100 of 1,000; about 3m00s left.", "500 of 1,000; about 1m25s left."]
    assert counts == [(10, 1000), (100, 1000), (150, 1000), (500, 1000), (1000, 1000)]


def test_short_work_is_left_in_peace() -> None:
    assert told([(1, 10), (11, 900), (12, 1000)], 1000)[0] == []
