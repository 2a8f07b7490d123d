"""A session's log as text. Pure.

Kaggle keeps it as a JSON list of ``{"stream_name", "time", "data"}``, one piece of output each; of a session that
was cut off the closing bracket is missing; a line may hold one object; and what is no JSON is taken as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor movements of terminals


def log_lines(raw: str) -> list[str]:
    """The log's lines as a terminal would have shown them at the end: a progress bar is its last state."""
    text = ESCAPES.sub("", "".join(_pieces(raw)))
    return [_shown(line) for line in text.split("\n") if line.strip("\r \t")]


def log_text(raw: str) -> str:
    """The log as text, with a line break at its end; empty if there is none."""
    return "".join(f"{line}\n" for line in log_lines(raw))


def _shown(line: str) -> str:
    """What stays of a line that was overwritten by carriage returns."""
    return next((part for part in reversed(line.split("\r")) if part.strip()), "").rstrip()


def _pieces(raw: str) -> Iterator[str]:
    """Pieces of output in the order of the log."""
    if not raw.lstrip().startswith(("[{", "{", "[\n", "[ ")):
        yield raw
        return
    try:
        content = json.loads(raw)
    except json.JSONDecodeError:
        for line in raw.splitlines():
            yield from _piece_of_line(line)
        return
    for event in content if isinstance(content, list) else [content]:
        yield _data(event)


def _piece_of_line(line: str) -> Iterator[str]:
    """The piece in one line of a list that is not whole: ``,{...}``; another line as it stands."""
    bare = line.strip().lstrip("[,").rstrip(",]")
    if not bare:
        return
    try:
        yield _data(json.loads(bare))
    except json.JSONDecodeError:
        yield f"{line}\n"


def _data(event: Any) -> str:
    """The output in one event; an event of another form is shown as it is."""
    if isinstance(event, dict) and isinstance(event.get("data"), str):
        return str(event["data"])
    return f"{event if isinstance(event, str) else json.dumps(event)}\n"
