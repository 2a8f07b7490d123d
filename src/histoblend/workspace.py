"""Every path under the output folder spelled once; atomic writes; fingerprints; the lock.

A file that exists is complete: everything is written under a temporary name in the same folder, flushed to
disk and renamed. What a killed run leaves behind carries the suffix ``.partial`` and is never read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import pandas as pd

from histoblend.errors import ArtifactRefusal, MachineRefusal

PARTIAL = ".partial"


class File:
    """A path inside the folder of the object it stands on."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type) -> Path:
        folder: Path = owner.folder
        return folder / self.name


@dataclass(frozen=True)
class TaskFolder:
    """The files of one task: one experiment on one fold."""

    folder: Path
    weights = File("model.weights.h5")
    saved_model = File("model.keras")
    state = File("state/last.npz")
    tensorboard = File("tensorboard")
    history = File("history.csv")
    out_of_fold = File("oof.csv")
    test = File("test.csv")
    roc_curve = File("roc.png")
    done = File("done.json")


@dataclass(frozen=True)
class ExperimentFolder:
    """The files of one experiment over all folds."""

    folder: Path
    config = File("config.yaml")
    out_of_fold = File("oof.csv")
    test = File("test.csv")
    metrics = File("metrics.json")

    def task(self, fold: int) -> TaskFolder:
        """The folder of one fold's task."""
        return TaskFolder(self.folder / f"fold_{fold}")


@dataclass(frozen=True)
class EnsembleFolder:
    """The files of one blend."""

    folder: Path
    weights = File("weights.json")
    out_of_fold = File("oof.csv")
    test = File("test.csv")
    metrics = File("metrics.json")
    submission = File("submission.csv")


@dataclass(frozen=True)
class Workspace:
    """The output folder of a run."""

    folder: Path
    folds = File("folds.csv")
    folds_record = File("folds.json")
    patches = File("patches.csv")
    run_record = File("run.json")
    paused = File("paused.json")
    earlier_output = File("earlier_output.json")
    ranking = File("ranking.csv")
    submission = File("submission.csv")
    submission_alternative = File("submission_alternative.csv")
    cache = File("cache")
    archive = File("archive")
    experiments = File("experiments")
    ensembles = File("ensembles")
    predictions = File("predictions")
    comparisons = File("comparisons")
    audit = File("audit")
    report = File("report/index.html")
    ledger = File("submissions.csv")
    kernels = File("kernels")
    lock = File(".lock")
    lock_holder = File(".lock-holder.json")

    def experiment(self, name: str) -> ExperimentFolder:
        """The folder of one experiment."""
        return ExperimentFolder(self.experiments / name)

    def ensemble(self, name: str) -> EnsembleFolder:
        """The folder of one blend."""
        return EnsembleFolder(self.ensembles / name)

    def blend_audit(self, plan: str) -> Path:
        """What the rules of a plan's blend are worth, and which was chosen why."""
        return self.ensembles / f"{plan}_audit.json"


def scratch_folder(workspace: Workspace, environment: Mapping[str, str]) -> Path:
    """The pixel cache's place: ``HISTOBLEND_SCRATCH``, ``/kaggle/temp`` on Kaggle, else ``output/cache``."""
    if named := environment.get("HISTOBLEND_SCRATCH"):
        return Path(named)
    if on_kaggle(environment):
        return kaggle_root(environment) / "temp" / "histoblend"
    return workspace.cache


def kaggle_root(environment: Mapping[str, str]) -> Path:
    """The folder that holds Kaggle's input/, working/ and temp/: ``HISTOBLEND_KAGGLE_ROOT``, else ``/kaggle``."""
    return Path(environment.get("HISTOBLEND_KAGGLE_ROOT") or "/kaggle")


def on_kaggle(environment: Mapping[str, str]) -> bool:
    """Whether this process runs in a Kaggle notebook or script kernel."""
    return "KAGGLE_KERNEL_RUN_TYPE" in environment


def _storage_refusal(path: Path, error: OSError) -> MachineRefusal:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(nearest_existing(path)).free
        return MachineRefusal(
            f"The disk is full: {path} could not be written ({free / 2**20:,.0f} MiB free).",
            "room for the artifacts of the run",
            "free some space or choose another --output; the same command then goes on.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MachineRefusal(
            f"{path} cannot be written: {error.strerror}.",
            "an output folder this user may write to",
            "choose another one with --output.",
        )
    return MachineRefusal(f"{path} could not be written: {error}.", "", "mend that and run again.")


def nearest_existing(path: Path) -> Path:
    """`path` itself or its closest ancestor that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder met inside the block into a `MachineRefusal`."""
    try:
        yield
    except OSError as error:
        raise _storage_refusal(path, error) from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it over `path`.

    The temporary name keeps the suffixes of `path`, because writers such as Keras choose a format by them.

    Raises:
        MachineRefusal: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f"{PARTIAL}-{os.getpid()}-{path.name}")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def read_json(path: Path) -> Any:
    """Read a JSON artifact.

    Raises:
        ArtifactRefusal: the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactRefusal(
            f"{path} is damaged: {error}.",
            "a JSON file written by histoblend",
            f"move {path} away and run again.",
        ) from error


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write `frame` without its index, floats with all digits they need to come back the same, atomically."""
    with atomic_write(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def fingerprint(content: Any) -> str:
    """Twelve hex digits that identify plain data (dicts, lists, strings, numbers), whatever the key order."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_hash(path: Path) -> str:
    """Sixteen hex digits of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Hold the output folder for this run; the lock goes with the process, even when it is killed.

    Raises:
        MachineRefusal: another run holds it, or the folder cannot be written.
    """
    with storage_errors(workspace.folder):
        workspace.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(workspace.lock, timeout=0)
        holder = workspace.lock_holder
        try:
            lock.acquire()
        except filelock.Timeout:
            raise _held(workspace, holder) from None
    try:
        write_json(
            holder,
            {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")},
        )
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _held(workspace: Workspace, holder: Path) -> MachineRefusal:
    who = "another run"
    with suppress(OSError, ArtifactRefusal):
        content = read_json(holder)
        who = f"the run with process id {content['pid']} on {content['host']}, since {content['since']}"
    return MachineRefusal(
        f"The output folder {workspace.folder} is in use by {who}.",
        "one run per output folder",
        "wait for it, stop it, or give this run an --output of its own.",
    )
