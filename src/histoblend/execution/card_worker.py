"""A task's own process as the process of the run sees it: started, spoken to, listened to, ended."""

from __future__ import annotations

import contextlib
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

from histoblend.execution.card_messages import Gone, Message

# Not `-m`, nor a fork or spawn of this program: neither a script nor a notebook cell is run a second time, and what
# the process starts in its turn has no main module to load. `-P`: the folder it is started in holds no modules.
COMMAND = ("-P", "-c", "from histoblend.execution.card_process import main; main()")
SECONDS_TO_END = 20.0  # of a process that has nothing to do any more
LINES = 12  # of what it printed that are shown


class CardWorker:
    """One process; what it says is put into `heard` as (this worker, message), `Gone` at last."""

    def __init__(
        self, environment: Mapping[str, str], heard: queue.Queue[tuple[CardWorker, Message]]
    ) -> None:
        self._heard = heard
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        self._process = subprocess.Popen(
            [sys.executable, *COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env=dict(environment),
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, content: Any) -> None:
        """Give it something to do; if it is no more, `Gone` is heard."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(content, self._process.stdin)
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Tell it that there is nothing more to do: it ends by itself."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def end(self, seconds: float = SECONDS_TO_END) -> None:
        """See it end, within `seconds` or by force."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the driver it outlives this
            self._process.wait(SECONDS_TO_END)
        self._printed.close()

    def how_it_ended(self) -> str:
        """What the system says of its end; for a process that is gone."""
        try:
            code = self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return "it lives, but what it says cannot be understood"
        if code >= 0:
            return f"it ended with exit code {code}"
        name = signal.Signals(-code).name
        memory = ", as the system does where memory runs out" if name == "SIGKILL" else ""
        return f"it was ended by {name}{memory}"

    def last_words(self) -> str:
        """The end of what it printed."""
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").splitlines()
        return "\n".join(f"  {line[:300]}" for line in lines[-LINES:] if line.strip())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as stream, contextlib.suppress(EOFError, pickle.UnpicklingError):
                while True:  # ended in the middle of a message, it cannot be unpickled
                    self._heard.put((self, pickle.load(stream)))
        finally:
            self._heard.put((self, Gone()))
