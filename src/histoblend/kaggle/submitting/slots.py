"""The day's submissions: how many are used up, and when the next day begins; Kaggle's day is that of UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from histoblend.kaggle.competitions import ListedSubmission


@dataclass(frozen=True)
class Slots:
    """Submissions of one day.

    Attributes:
        used: those that were scored or wait for it.
        failed: those that could not be scored, which Kaggle may or may not count: it does not say.
        turns: when the next day begins.
    """

    used: int
    failed: int
    daily: int
    turns: datetime

    @property
    def left(self) -> int:
        """How many may still be made today."""
        return max(self.daily - self.used, 0)


def slots_of(listed: Sequence[ListedSubmission], daily: int, now: datetime) -> Slots:
    """The day of `now`, counted from what Kaggle lists: the whole team's, wherever they were made."""
    day = now.astimezone(UTC).date()
    today = [one for one in listed if one.date.astimezone(UTC).date() == day]
    failed = sum(one.status == "error" for one in today)
    turns = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return Slots(len(today) - failed, failed, daily, turns)


def until(moment: datetime, now: datetime) -> str:
    """``in 5 h 07 min`` or ``in 3 min``."""
    minutes = max(round((moment - now).total_seconds() / 60), 1)
    return f"in {minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"in {minutes} min"
