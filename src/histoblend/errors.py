"""Refusals: stops that say what was found, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class Refusal(Exception):
    """A stop the user can act on; printed without a traceback.

    Args:
        found: what is there, naming the offending keys, ids or files.
        expected: what should have been there.
        remedy: what to do next.
    """

    exit_code = 1

    def __init__(self, found: str, expected: str = "", remedy: str = "") -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        parts = [found]
        if expected:
            parts.append(f"Expected: {expected}")
        if remedy:
            parts.append(f"To do: {remedy}")
        super().__init__("\n".join(parts))


class ConfigRefusal(Refusal):
    """A plan, an experiment or a command-line value is not usable."""

    exit_code = 2


class DataRefusal(Refusal):
    """The competition's files are missing, broken or contradict each other."""

    exit_code = 3


class ArtifactRefusal(Refusal):
    """Something under the output folder does not fit what is asked for, or is damaged."""

    exit_code = 4


class MachineRefusal(Refusal):
    """Disk, memory, permissions, weights or another run stand in the way."""

    exit_code = 5


class ServiceRefusal(Refusal):
    """Kaggle refused, does not answer, or did not do what it was asked to."""

    exit_code = 6


def some(names: Sequence[object], limit: int = 5) -> str:
    """The first few of `names` and their count, for messages: ``'a, b, c ... (1,203 in all)'``."""
    shown = ", ".join(str(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} ... ({len(names):,} in all)"


def counted(number: int, noun: str) -> str:
    """``1 id``, ``2,622 ids``, ``3 patches``, ``2 epochs``."""
    ending = "es" if noun.endswith(("tch", "s")) else "s"
    return f"{number:,} {noun}" + ("" if number == 1 else ending)


def nearest(word: str, valid: Sequence[str]) -> str:
    """A sentence that names the valid words nearest to `word`."""
    close = difflib.get_close_matches(word, valid, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Valid: {', '.join(valid)}."
