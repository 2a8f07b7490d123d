"""The child's way back to its parent: one JSON object a line on what was stdout, which the client no longer has."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any, TextIO

PROGRESS_SECONDS = 0.2  # between two words about progress

_lock = threading.Lock()
_lines: TextIO | None = None
_told = 0.0
_before, _total = 0, 0


def open_channel() -> None:
    """Keep stdout for the parent; whatever else prints goes to stderr, where the parent collects it as words."""
    global _lines
    _lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    print(file=_lines, flush=True)  # what was printed before and has no end is no part of the first message
    os.dup2(2, 1)


def send(kind: str, value: Any) -> None:
    """Tell the parent; without one (a function called by hand) nothing is said."""
    if _lines is not None:
        with _lock:
            print(json.dumps({kind: value}), file=_lines, flush=True)


def begin_part(before: int, total: int) -> None:
    """What is moved from now on is one file of several: `before` bytes lie behind, `total` are all of them."""
    global _before, _total
    _before, _total = before, total


def progress(done: int, total: int) -> None:
    """Bytes moved of all; said a few times a second, and at the end."""
    global _told
    done, total = _before + done, _total or total
    if done in (0, total) or time.monotonic() - _told >= PROGRESS_SECONDS:
        _told = time.monotonic()
        send("progress", [done, total])
