"""How a session is seen to go on: a state and since when, in words. Pure: the caller knows the clock."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from histoblend.kaggle.kernel.log import log_lines
from histoblend.kaggle.kernels import Look, Session
from histoblend.reporting.progress import duration

LONGEST_HOURS = 12
"""A session's length on Kaggle."""

WORDS = {
    "queued": "is queued",
    "new_script": "is saved; no session of it is known to have started",
    "running": "is running",
    "complete": "is complete",
    "error": "ended in an error",
    "cancel_requested": "is being cancelled",
    "cancel_acknowledged": "was cancelled",
}
ENDS = ("complete", "error", "cancel_acknowledged")


def in_words(session: Session) -> str:
    """``is running``, ``ended in an error: Your notebook tried to allocate more memory than is available``."""
    words = WORDS.get(session.state, f"has the status {session.state!r}, which histoblend does not know")
    return f"{words}: {session.failure}" if session.failure else words


def has_ended(session: Session) -> bool:
    """Whether nothing more comes of it."""
    return session.state in ENDS


def is_under_way(session: Session) -> bool:
    """Whether it holds or will hold a machine; what is not known counts as under way."""
    return session.state not in ENDS


def is_doubtful(session: Session) -> bool:
    """Whether it is under way for want of knowledge alone: saved on the page and never run, or a word not known."""
    return session.state == "new_script" or session.state not in WORDS


@dataclass(frozen=True)
class Seen:
    """What was seen of a session so far."""

    session: Session | None = None
    """As last heard; None before the first answer."""
    since: float = 0.0
    """When this watch first saw it in this state, in seconds of the caller's clock."""
    failures: int = 0
    """Questions in a row that had no answer."""
    lines: int = 0
    """Lines of the log heard so far."""
    new_lines: tuple[str, ...] = ()
    """Those that the last answer brought."""
    no_log: str = ""
    """Why Kaggle gives no log."""

    def heard(self, found: Look, now: float) -> Seen:
        """After an answer."""
        assert found.session is not None
        same = self.session is not None and self.session.state == found.session.state
        lines = log_lines(found.log)
        return Seen(
            session=found.session,
            since=self.since if same else now,
            lines=max(self.lines, len(lines)),
            new_lines=tuple(lines[self.lines :]),
            no_log=found.no_log,
        )

    def missed(self) -> Seen:
        """After a question without an answer."""
        return dataclasses.replace(self, failures=self.failures + 1, new_lines=())

    def overdue(self, now: float) -> bool:
        """Whether it is said to run for longer than Kaggle lets a session run."""
        running = self.session is not None and self.session.state == "running"
        return running and now - self.since > LONGEST_HOURS * 3600 + 1800

    def sentence(self, now: float) -> str:
        """``is running, for 1h02m as seen from here``, and how many questions had no answer since."""
        words = "nothing is known yet" if self.session is None else in_words(self.session)
        parts = [f"{words}, for {duration(now - self.since)} as seen from here"] if self.session else [words]
        if self.failures:
            parts.append(f"Kaggle has not answered {self.failures} times in a row")
        return "; ".join(parts)
