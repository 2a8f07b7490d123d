"""What is kept of a trial: one JSON file each, from which alone the page of networks is made.

<output>/records/<name>.json     keys: name, network, family, recipe, weights, parameters, macs, input_size,
                                 speeds {train, predict, ...}, result {auc, auc_one_view, ...} or null, refused
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histoblend.errors import ArtifactRefusal
from histoblend.workspace import Workspace, read_json, write_json

REQUIRED = ("name", "network", "family", "weights", "parameters", "macs", "input_size", "recipe", "speeds")
Content = dict[str, Any]


def records_folder(workspace: Workspace) -> Path:
    """Where the records of all trials lie."""
    return workspace.folder / "records"


def record_path(workspace: Workspace, name: str) -> Path:
    """The record of one trial."""
    return records_folder(workspace) / f"{name}.json"


def kept_record(workspace: Workspace, name: str) -> Content:
    """What is known of a trial; empty before it started.

    Raises:
        ArtifactRefusal: the file is damaged.
    """
    path = record_path(workspace, name)
    return dict(_checked(read_json(path), path)) if path.exists() else {}


def keep(workspace: Workspace, content: Mapping[str, Any]) -> None:
    """Write the record of one trial."""
    write_json(record_path(workspace, content["name"]), content)


def all_records(folder: Path) -> list[Content]:
    """The records of all trials under the output folder of trials, by name.

    Raises:
        ArtifactRefusal: there is none, or one is damaged.
    """
    paths = sorted(records_folder(Workspace(folder)).glob("*.json"))
    if not paths:
        raise ArtifactRefusal(
            f"No trial has left a record under {records_folder(Workspace(folder))}.",
            "the --output folder of `histoblend trial`",
            "name that folder, or run trials first.",
        )
    return [dict(_checked(read_json(path), path)) for path in paths]


def _checked(content: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(content, dict) or (missing := [key for key in REQUIRED if key not in content]):
        lacks = "" if not isinstance(content, dict) else f": it lacks {', '.join(missing)}"
        raise ArtifactRefusal(
            f"{path} is damaged{lacks}.", "the record of a trial", "move it away and run again."
        )
    return content
