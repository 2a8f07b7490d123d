"""What the output folder remembers of kernels: pushes.json, and pulled.json beside what was fetched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from histoblend.errors import ArtifactRefusal
from histoblend.kaggle.kernels import Kernel
from histoblend.pulled import PULLED
from histoblend.workspace import Workspace, read_json, write_json

FRESH_SECONDS = 120.0
"""After a push in which Kaggle may still speak of the session before."""


@dataclass(frozen=True)
class Push:
    """One version of a kernel, sent from here."""

    kernel: str
    """``owner/slug``."""
    version: int
    when: str
    """UTC, ISO 8601."""
    plan: str
    settings: tuple[str, ...]
    package: str
    """Version of histoblend that it carries."""
    fingerprint: str
    """Of package and configs, as the script's header and session.json name it."""

    @property
    def moment(self) -> datetime:
        """When it was sent."""
        return datetime.fromisoformat(self.when)


def pushed_within(pushes: list[Push], seconds: float) -> bool:
    """Whether the last push was made in the last `seconds`."""
    return bool(pushes) and 0 <= (datetime.now(UTC) - pushes[-1].moment).total_seconds() < seconds


def now() -> str:
    """This second in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def pushes_file(workspace: Workspace) -> Path:
    """Every push from this output folder."""
    return workspace.kernels / "pushes.json"


def read_pushes(workspace: Workspace, kernel: Kernel) -> list[Push]:
    """Pushes of `kernel` from this output folder, the first first.

    Raises:
        ArtifactRefusal: the record is damaged.
    """
    return [one for one in _all_pushes(workspace) if one.kernel == kernel.ref]


def note_push(workspace: Workspace, push: Push) -> None:
    """Add `push` to the record; a version noted before is replaced."""
    kept = [one for one in _all_pushes(workspace) if (one.kernel, one.version) != (push.kernel, push.version)]
    write_json(pushes_file(workspace), [asdict(one) for one in [*kept, push]])


def _all_pushes(workspace: Workspace) -> list[Push]:
    path = pushes_file(workspace)
    if not path.exists():
        return []
    try:
        return [Push(**{**one, "settings": tuple(one["settings"])}) for one in read_json(path)]
    except (TypeError, KeyError) as error:
        raise ArtifactRefusal(
            f"{path} is no record of pushes: {error}.",
            "a list written by `./run.sh kernel push`",
            f"move {path} away; `./run.sh kernel pull` then asks Kaggle alone for the version.",
        ) from error


@dataclass(frozen=True)
class Pulled:
    """A session's output that was fetched whole."""

    kernel: str
    version: int
    state: str
    failure: str
    when: str
    files: dict[str, int]
    """Bytes by name, as Kaggle handed them out."""

    @property
    def is_empty(self) -> bool:
        """Whether it held nothing, or a log alone: Kaggle may not have listed the output yet."""
        return all(name.endswith(".log") for name in self.files)


def pulled_file(folder: Path) -> Path:
    """The record of a pull, in a folder that is whole."""
    return folder / PULLED


def read_pulled(folder: Path) -> Pulled | None:
    """The record of a pull into `folder`; None if nothing was pulled into it.

    Raises:
        ArtifactRefusal: it is damaged.
    """
    path = pulled_file(folder)
    if not path.exists():
        return None
    content: dict[str, Any] = read_json(path)
    try:
        return Pulled(**content)
    except TypeError as error:
        raise ArtifactRefusal(
            f"{path} is no record of a pull: {error}.",
            "a record written by `./run.sh kernel pull`",
            f"move {path} away and pull again: what is there is completed.",
        ) from error
