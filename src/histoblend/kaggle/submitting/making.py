"""An experiment's submission, made from its test table by the function that makes those of blends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from histoblend.artifacts.checks import read_words
from histoblend.blending.submission import submission_table
from histoblend.checking.asked import asked_form
from histoblend.checking.request import CheckRequest
from histoblend.errors import ArtifactRefusal, some
from histoblend.inference.tables import read_test
from histoblend.workspace import ExperimentFolder, Workspace, read_json
from histoblend.yaml_files import read_yaml


def made_submission(test: Path, request: CheckRequest, environment: Mapping[str, str]) -> pd.DataFrame:
    """The submission of a test table, for the ids that are to be submitted, on the scale of the last run.

    Raises:
        ArtifactRefusal: the table is damaged, or lacks an id that is asked for.
    """
    workspace = Workspace(request.output or test.parents[2])
    form = asked_form(request, workspace, environment)
    table = read_test(test, read_words(test)["id"])
    if form.ids is not None and (lacking := sorted(set(form.ids) - set(table["id"]))):
        raise ArtifactRefusal(
            f"{test} has no prediction for {some(lacking)}.",
            f"every id of {form.source}",
            "name the data it was predicted for with --data.",
        )
    sample = pd.DataFrame(dict.fromkeys(form.columns, form.ids)) if form.ids is not None else None
    return submission_table(table, sample, _scale(workspace), _classes(test.parent))


def _scale(workspace: Workspace) -> str:
    run: dict[str, Any] = read_json(workspace.run_record) if workspace.run_record.exists() else {}
    return str((run.get("plan", {}).get("submission") or {}).get("scale", "rank"))


def _classes(folder: Path) -> tuple[str, ...]:
    """Names of the classes in the order of the logits, as the experiment's record has them."""
    record = ExperimentFolder(folder).config
    return tuple(read_yaml(record).get("classes", ())) if record.exists() else ()


def submission_bytes(table: pd.DataFrame) -> bytes:
    """What `write_csv` writes of a submission."""
    return table.to_csv(index=False, lineterminator="\n").encode()
