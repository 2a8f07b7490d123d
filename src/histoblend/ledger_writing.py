"""Changes of submissions.csv: one writer at a time, the file always whole, no line of anybody else touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from histoblend.errors import MachineRefusal
from histoblend.ledger import load_ledger, understood
from histoblend.ledger_file import LedgerText
from histoblend.workspace import atomic_write, storage_errors

WAIT_SECONDS = 30.0  # for another writer, who needs milliseconds


def change_ledger(path: Path, change: Callable[[LedgerText], LedgerText]) -> LedgerText:
    """Read the ledger, change it and write it back, while nobody else who asks here does; what it holds then.

    `change` sees the file as it is under the lock: two people may share one output folder. An unchanged ledger is not
    written.

    Raises:
        ArtifactRefusal: the file is broken, or would be; it is left as it is.
        MachineRefusal: it cannot be written, or another writer holds it for long.
    """
    with _held(path):
        before = load_ledger(path)
        understood(before, path)
        after = change(before)
        if after != before:
            understood(after, path)  # what could not be read again is not written
            with atomic_write(path) as temporary:
                temporary.write_bytes(after.encoded())
        return after


@contextmanager
def _held(path: Path) -> Iterator[None]:
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=WAIT_SECONDS)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise MachineRefusal(
                f"{path} has been held by another writer for {WAIT_SECONDS:.0f} seconds.",
                "a submission of somebody else that ends",
                "look who works in this folder, and type the same command again.",
            ) from None
    try:
        yield
    finally:
        lock.release()
