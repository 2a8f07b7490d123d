"""The output folder that a command is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from histoblend.config_files import configs_folder
from histoblend.errors import ArtifactRefusal
from histoblend.preparation import default_output
from histoblend.workspace import Workspace


def opened_output(output: Path | None, environment: Mapping[str, str]) -> Workspace:
    """The output folder that was named, else the default one, if a run has worked in it.

    Raises:
        ArtifactRefusal: none has.
    """
    root = output or default_output(configs_folder(environment).parent, environment)
    workspace = Workspace(root.absolute())
    if not workspace.folder.is_dir():
        raise ArtifactRefusal(
            f"There is no folder {workspace.folder}.", "the output folder of a run", "name it with --output."
        )
    of_runs = (workspace.folds, workspace.experiments, workspace.ensembles, workspace.kernels)
    if not any(path.exists() for path in of_runs):
        raise ArtifactRefusal(
            f"{workspace.folder} is no output folder: no folds.csv, no experiments, no ensembles.",
            "the folder a run has worked in",
            "name it with --output.",
        )
    return workspace
