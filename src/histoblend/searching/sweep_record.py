"""What a sweep was started with, kept beside its trials and compared when it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from histoblend.errors import ArtifactRefusal
from histoblend.execution.records import Record, differing_keys, record_differences
from histoblend.searching.sweep_config import Sweep
from histoblend.searching.trial_records import read_trials
from histoblend.workspace import read_json, write_json

OF_EXPERIMENT = ("experiment", "precision", "data", "folds")


def keep_or_compare(sweep: Sweep, record: Record, folder: Path) -> None:
    """Write the sweep's record before its first trial; later refuse to go on with another space, base, data or split.

    Settings that were added to histoblend since are no difference where they stand at their defaults.

    Args:
        record: that of a trial with the base's own values.

    Raises:
        ArtifactRefusal: something differs, or the record is missing or damaged.
    """
    told = {"sweep": _block(sweep), **{key: record.content[key] for key in OF_EXPERIMENT}}
    content = json.loads(json.dumps(told))  # as it will be read: a tuple is a list
    path = folder / "sweep.json"
    if not read_trials(folder):
        write_json(path, content)
        return
    if not path.exists():
        raise ArtifactRefusal(
            f"{path} is missing, and there are trials beside it.",
            "the record of what they tried",
            f"restore it, or move {folder} away.",
        )
    if lines := _differences(path, content):
        raise ArtifactRefusal(
            f"Sweep {sweep.name} has changed since its trials in {folder} were made:\n  "
            + "\n  ".join(lines),
            "the space, base, data and folds it was started with",
            f"undo the change, give the sweep another name, or move {folder} away.",
        )


def _block(sweep: Sweep) -> dict[str, Any]:
    """The sweep but for its number of trials, of which there may be more."""
    return sweep.model_dump(mode="json", exclude={"trials"})


def _differences(path: Path, content: dict[str, Any]) -> list[str]:
    """Lines ``key: old -> new`` for what differs between the record at `path` and `content`."""
    old = read_json(path)
    try:
        before = json.loads(json.dumps(_block(Sweep.model_validate(old["sweep"]))))
        records = [Record({key: one[key] for key in OF_EXPERIMENT}) for one in (old, content)]
        lines = record_differences(*records)
    except (KeyError, TypeError, ValidationError) as error:
        raise ArtifactRefusal(
            f"{path} is damaged, or of a version of histoblend that declared sweeps otherwise: {error}.",
            "the record of what the trials beside it tried",
            f"restore it, or move {path.parent} away.",
        ) from error
    if old["precision"] != content["precision"] and not any(line.startswith("precision:") for line in lines):
        lines.append(f"precision: {old['precision']} -> {content['precision']}")  # trials of one precision
    return [line for _, line in differing_keys({"sweep": before}, {"sweep": content["sweep"]})] + lines
