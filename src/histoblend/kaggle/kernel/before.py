"""What is known before a push: how the kernel and its assets stand, and what its last session was asked to do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from histoblend.kaggle import datasets
from histoblend.kaggle.connection import Connection
from histoblend.kaggle.datasets import Dataset, State
from histoblend.kaggle.kernel.records import Push, read_pulled, read_pushes
from histoblend.kaggle.kernels import Kernel, Look, fetch, look
from histoblend.kaggle.session.stored import ARCHIVE, FOLDER, RECORD
from histoblend.workspace import Workspace, read_json


@dataclass(frozen=True)
class Before:
    """What is known before a push.

    Attributes:
        kernel: with session, kept and output.
        assets: the assets dataset; None where there is none.
        pushes: from this output folder, the first first.
        noted: plan, settings and package of the session whose work lies in the last version, and the state of the
            last one; plan and settings of the last push where there is no session.json.
        pulled: outputs of earlier versions that lie here, the newest last.
    """

    kernel: Look
    assets: State | None = None
    pushes: list[Push] = field(default_factory=list)
    noted: Mapping[str, Any] = field(default_factory=dict)
    pulled: tuple[Path, ...] = ()


def known_before(connection: Connection, kernel: Kernel, assets: str, workspace: Workspace) -> Before:
    """Ask Kaggle and the output folder.

    Raises:
        CallFailure: Kaggle does not answer; ArtifactRefusal: a record here is damaged.
    """
    found = look(connection, kernel, "session", "kept", "output")
    pushes = read_pushes(workspace, kernel)
    return Before(
        found,
        datasets.look(connection, Dataset(*assets.split("/"))),
        pushes,
        last_asked(connection, found, pushes),
        pulled_outputs(workspace, kernel),
    )


def holds_output(names: Iterable[str]) -> bool:
    """Whether a session's output is among the listed files, packed, loose, or unpacked by Kaggle."""
    return any(name == ARCHIVE or name.startswith(f"{FOLDER}/") for name in names)


def last_asked(connection: Connection, found: Look, pushes: list[Push]) -> dict[str, Any]:
    """What the last session noted in its session.json; where it left none, what was pushed from here last."""
    address = found.output.files.get(RECORD) if found.output else None
    if address is not None:
        with tempfile.TemporaryDirectory(prefix="histoblend-kernel-") as folder:
            fetch(connection, address, Path(folder) / RECORD, lambda done, total: None)
            noted = dict(read_json(Path(folder) / RECORD))
        return noted | (noted.get("handed_on") or {}).get(
            "session", {}
        )  # the work of a session before that one
    return {"plan": pushes[-1].plan, "settings": pushes[-1].settings} if pushes else {}


def pulled_outputs(workspace: Workspace, kernel: Kernel) -> tuple[Path, ...]:
    """Folders of versions of `kernel` that were pulled here and hold an output."""
    folders = [path for path in workspace.kernels.glob("*") if path.name.isdecimal()]
    own = [path for path in folders if (pulled := read_pulled(path)) and pulled.kernel == kernel.ref]
    return tuple(
        sorted((one for one in own if Workspace(one).run_record.exists()), key=lambda one: int(one.name))
    )
