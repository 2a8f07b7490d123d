"""Calls to Kaggle: each in a child process with a deadline, repeated where that is safe, its failures in words."""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from histoblend.kaggle.answers import HUNG, Answer, Deadline, Progress
from histoblend.kaggle.child import own_username
from histoblend.kaggle.credentials import blotted, find_credential, open_to_others, secrets
from histoblend.kaggle.failures import Asked, CallFailure, call_failure
from histoblend.kaggle.process import Child
from histoblend.reporting.progress import Display, duration

CHILD_SECONDS = 600  # after which a child is replaced: what it signed in with may run out


@dataclass(frozen=True)
class Patience:
    """How long is waited for what; all in seconds but `tries`.

    Attributes:
        request_seconds: of silence in one HTTP request.
        call_seconds: one call in all, where it is no transfer.
        still_seconds: of a transfer without progress.
        tries: of a call that may be repeated; a transfer that got further starts counting anew.
        pause_seconds: before the second try; doubled before each further one, up to `longest_pause`.
        poll_seconds: between two looks at something that takes its time on Kaggle.
    """

    request_seconds: float = 60
    call_seconds: float = 300
    still_seconds: float = 150
    tries: int = 4
    pause_seconds: float = 4
    longest_pause: float = 120
    poll_seconds: float = 15


USUAL = Patience()


@dataclass(eq=False)
class Connection:
    """A way to Kaggle with the user's credential.

    Attributes:
        environment: of the child; tell: where a sentence goes; patience: how long is waited.
        words: what the client printed during the last call, without credentials.
    """

    environment: Mapping[str, str] = field(repr=False)
    tell: Callable[[str], None]
    patience: Patience
    words: str = ""
    _username: str = field(default="", init=False)
    _child: Child | None = field(default=None, init=False, repr=False)
    _ending: Callable[[], object] | None = field(default=None, init=False, repr=False)

    def ask(
        self, function: Callable[..., Any], *, again: bool, progress: Progress | None = None, **arguments: Any
    ) -> Any:
        """The value of ``function(api, **arguments)``, run in the child process with the client's signed-in KaggleApi.

        Args:
            function: of a module, not nested; what it takes and gives goes through JSON.
            again: whether it may be repeated after a failure that may pass.
            progress: for transfers: told (done, all); the deadline is then `still_seconds` without progress.

        Raises:
            CallFailure: it failed, for good or too often.
        """
        furthest = _Furthest(progress)
        tried = 0
        while True:
            before = furthest.done
            try:
                return self._once(function, furthest if progress is not None else None, arguments)
            except CallFailure as failure:
                tried = 1 if furthest.done > before else tried + 1
                pause = self._pause_after(failure, tried)
                if not again or not failure.passing or tried >= self.patience.tries or pause is None:
                    raise
                self.tell(f"{failure.found} Trying again in {duration(pause)}.")
                self.pause(pause)

    def username(self) -> str:
        """The name of the user on Kaggle."""
        if not self._username:
            self._username = str(self.ask(own_username, again=True))
        return self._username

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def _pause_after(self, failure: CallFailure, tried: int) -> float | None:
        """Seconds before the next try; None where Kaggle asks for more than is waited."""
        if failure.retry_after is not None:
            return failure.retry_after if failure.retry_after <= self.patience.longest_pause else None
        doubled = self.patience.pause_seconds * 2 ** (tried - 1)
        return min(doubled, self.patience.longest_pause) * random.uniform(0.75, 1.25)  # not all at once

    def _once(
        self, function: Callable[..., Any], progress: Progress | None, arguments: Mapping[str, Any]
    ) -> Any:
        call = {
            "module": function.__module__,
            "name": function.__name__,
            "arguments": arguments,
            "request_seconds": self.patience.request_seconds,
        }
        moves = progress is not None
        deadline = Deadline(self.patience.still_seconds if moves else self.patience.call_seconds, moves)
        child = self._ready()
        answer = HUNG
        try:
            answer = child.answer(call, deadline, progress or _silent)
        finally:
            self.words = blotted(child.words(), secrets(self.environment))
            if not answer.leaves_child_sound:
                self.end()
        return self._value(answer, function, arguments)

    def _value(self, answer: Answer, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        if answer.symptom is None:
            return answer.value
        message = blotted(str(answer.symptom.get("message", "")), secrets(self.environment))
        asked = Asked(function.__name__.replace("_", " "), arguments, find_credential(self.environment))
        raise call_failure({**answer.symptom, "message": message}, self.words, asked)

    def _ready(self) -> Child:
        """The child of the last call, or a new one: starting the client takes most of a second, and a login."""
        if self._child is not None and time.monotonic() - self._child.started > CHILD_SECONDS:
            self.end()
        if self._child is None:
            self._child = Child(self.environment)
            self._ending = weakref.finalize(self, self._child.end)
        return self._child

    def end(self) -> None:
        """End the child; the next call starts another."""
        if self._ending is not None:
            self._ending()
        self._child = self._ending = None


def _silent(done: int, total: int) -> None:
    """Progress that nobody asked for."""


class _Furthest:
    """Passes progress on and remembers how far it came."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self.done = progress, 0

    def __call__(self, done: int, total: int) -> None:
        self.done = max(self.done, done)
        if self._progress is not None:
            self._progress(done, total)


def connect(environment: Mapping[str, str], display: Display, patience: Patience | None = None) -> Connection:
    """A connection with the credential that is set.

    Raises:
        ServiceRefusal: none is; with the ways to set one.
    """
    find_credential(environment)
    for path in open_to_others(environment):
        display.warn(f"{path} may be read by other users of this machine: chmod 600 {path}")
    return Connection(environment, display.tell, patience or USUAL)
