"""Kernels on Kaggle as typed values: every question goes through the connection's child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from histoblend.kaggle import kernel_calls
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.named import Named


class Kernel(Named):
    """A kernel's name on Kaggle."""

    section = "code"


@dataclass(frozen=True)
class Session:
    """How the last session stands: the client's word in small letters, and why it failed."""

    state: str
    failure: str = ""


@dataclass(frozen=True)
class Reply:
    """What Kaggle said to a push."""

    reference: str
    address: str
    version: int | None
    error: str
    invalid: dict[str, list[str]]
    """By kind of source, what Kaggle did not take."""
    machine_named: bool = True
    """Whether the client told Kaggle which machine is wanted."""


@dataclass(frozen=True)
class Description:
    """What Kaggle keeps of a kernel; None where it says nothing."""

    version: int | None
    private: bool | None
    gpu: bool | None
    internet: bool | None
    machine: str
    competitions: list[str]
    datasets: list[str]
    kernels: list[str]
    script: str
    """SHA-256 of the script."""


@dataclass(frozen=True)
class SessionOutput:
    """What a session left."""

    files: dict[str, str]
    """Address by name."""
    log: str
    """As Kaggle keeps it."""


@dataclass(frozen=True)
class Look:
    """What was asked about a kernel; None what was not, or where there is no such kernel."""

    session: Session | None = None
    kept: Description | None = None
    output: SessionOutput | None = None
    log: str = ""
    """Of a running session, as Kaggle keeps it."""
    no_log: str = ""
    """Why Kaggle gives none."""


def send(connection: Connection, folder: Path) -> Reply:
    """Send the kernel in `folder` and start it; never repeated by itself, since each time starts a session.

    Raises:
        ServiceRefusal: no answer, or an error; it may have arrived for all that.
    """
    return Reply(**connection.ask(kernel_calls.push, again=False, folder=str(folder)))


def look(connection: Connection, kernel: Kernel, *parts: str) -> Look:
    """What Kaggle says of `kernel`: `parts` of session, kept, output and log.

    Raises:
        CallFailure: it does not say.
    """
    found = connection.ask(kernel_calls.look, again=True, kernel=kernel.ref, parts=list(parts))
    log = found["log"] or {"log": "", "problem": ""}
    return Look(
        session=Session(**found["session"]) if found.get("session") else None,
        kept=Description(**found["kept"]) if found.get("kept") else None,
        output=SessionOutput(**found["output"]) if found.get("output") else None,
        log=log["log"],
        no_log=log["problem"],
    )


def fetch(connection: Connection, address: str, to: Path, progress: Callable[[int, int], None]) -> None:
    """Download to `to`, going on where a broken download stopped.

    Raises:
        CallFailure: it broke too often; what has come stays.
    """
    connection.ask(kernel_calls.fetch, again=True, progress=progress, address=address, to=str(to))
