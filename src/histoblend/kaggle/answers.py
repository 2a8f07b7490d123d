"""What comes back of a call, and for how long it is waited for."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Progress = Callable[[int, int], None]
Lines = queue.Queue  # of str, and None where no more can come

UNSOUND = ("hung", "died", "exit", "client", "missing", "unauthorised")


@dataclass(frozen=True)
class Answer:
    """The value of a call, or the symptom of what went wrong."""

    value: Any = None
    symptom: Mapping[str, Any] | None = None

    @property
    def leaves_child_sound(self) -> bool:
        """Whether the child may be asked again: what Kaggle refused has not hurt it."""
        return self.symptom is None or self.symptom["kind"] not in UNSOUND


HUNG = Answer(symptom={"kind": "hung"})  # as long as there is none


@dataclass(frozen=True)
class Deadline:
    """Seconds in all; or, where `moves`, without progress."""

    seconds: float
    moves: bool = False


def await_answer(lines: Lines[str | None], deadline: Deadline, progress: Progress) -> Answer | None:
    """The answer among `lines`; None where they end without one. Past the deadline: the symptom of a hung child."""
    ends, furthest = time.monotonic() + deadline.seconds, -1
    while True:
        try:
            line = lines.get(timeout=max(0.0, ends - time.monotonic()))
        except queue.Empty:
            what = "no progress" if deadline.moves else "no answer"
            return Answer(symptom={"kind": "hung", "message": f"{what} for {deadline.seconds:.0f} s"})
        if line is None:
            return None
        message = _message(line)
        if message is None:
            continue
        if "progress" not in message:
            return Answer(message.get("value"), message.get("symptom"))
        done, total = message["progress"]
        if done > furthest:
            furthest = done
            progress(done, total)
            if deadline.moves:
                ends = time.monotonic() + deadline.seconds


def _message(line: str) -> dict[str, Any] | None:
    """What the child says; None of a line that is not its own, such as what Python prints at its start."""
    try:
        message = json.loads(line)
    except json.JSONDecodeError:
        return None
    return (
        message if isinstance(message, dict) and message.keys() & {"progress", "value", "symptom"} else None
    )
