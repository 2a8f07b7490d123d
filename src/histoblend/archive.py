"""Putting an experiment's artifacts aside, so that its name is free again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from histoblend.config_files import configs_folder
from histoblend.errors import ArtifactRefusal, nearest
from histoblend.preparation import default_output
from histoblend.workspace import Workspace, locked, storage_errors


def archive_experiment(name: str, output: Path | None, environment: Mapping[str, str]) -> Path:
    """Move the experiment's folder under `archive/`, with the time in its name; nothing is deleted.

    Raises:
        ArtifactRefusal: the output folder holds no artifacts of that experiment.
    """
    root = output or default_output(configs_folder(environment).parent, environment)
    workspace = Workspace(root.absolute())
    there = [path.name for path in sorted(workspace.experiments.glob("*")) if path.is_dir()]
    if name not in there:  # not whether its folder exists: that of an empty name holds all experiments
        found = f"{workspace.folder} holds no artifacts of an experiment {name!r}."
        other = "Was it another --output?" if not there else nearest(name, there)
        raise ArtifactRefusal(f"{found} {other}")
    target = workspace.archive / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with locked(workspace), storage_errors(workspace.archive):
        workspace.archive.mkdir(exist_ok=True)
        workspace.experiment(name).folder.rename(target)
    return target
