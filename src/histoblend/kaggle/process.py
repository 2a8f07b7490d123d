"""The child process as its parent sees it: calls go in as lines, words about progress and an answer come back."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from histoblend.kaggle.answers import Answer, Deadline, Lines, Progress, await_answer

LONGEST_WORDS = 20_000  # characters kept of what the client prints


class Child:
    """A process with the client in it. It answers one call after another; after a failure it is to be ended."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.started = time.monotonic()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the child)
        self._heard = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "histoblend.kaggle.child"],  # -P: no kaggle.py of the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
            encoding="utf-8",
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        self._lines: Lines[str | None] = queue.Queue()
        threading.Thread(target=_collect, args=(self._process.stdout, self._lines), daemon=True).start()

    def answer(self, call: Mapping[str, Any], deadline: Deadline, progress: Progress) -> Answer:
        """Hand `call` in and wait for what comes of it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(call) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._lines.put(None)
        answer = await_answer(self._lines, deadline, progress)
        return answer or Answer(
            symptom={
                "kind": "died",
                "message": f"its process ended with code {self._process.wait()} and no answer",
            }
        )

    def words(self) -> str:
        """What was printed since this was asked last."""
        file, size = self._printed.fileno(), os.fstat(self._printed.fileno()).st_size
        new = os.pread(file, size - self._heard, self._heard)  # leaves the place where the child writes alone
        self._heard = size
        return new.decode(errors="replace")[-LONGEST_WORDS:].strip()

    def end(self) -> None:
        """Kill it, at once."""
        self._process.kill()
        self._process.wait()
        self._printed.close()
        with suppress(BrokenPipeError):  # what it did not read any more
            if self._process.stdin is not None:
                self._process.stdin.close()


def _collect(stream: IO[str], lines: Lines[str | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
