"""What an earlier run laid down in the output folder, which added predictions are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from histoblend.blending.rules import REFERENCE
from histoblend.config import Plan
from histoblend.config_files import configs_folder
from histoblend.data.folds import folds_fingerprint
from histoblend.errors import ArtifactRefusal
from histoblend.preparation import Request, source_of
from histoblend.workspace import Workspace, read_json


@dataclass(frozen=True)
class Ground:
    """What an earlier run laid down in the output folder.

    Attributes:
        folds: id, label, slide, fold, as in folds.csv.
        test_ids: ids of all test patches; may be empty.
        about: data set, fold policy and fingerprints, as they stand in the ranking.
        outputs: logits of a patch: 1 for two classes, else their number.
    """

    workspace: Workspace
    folds: pd.DataFrame
    test_ids: pd.Series
    about: dict[str, Any]
    outputs: int

    @property
    def folds_fingerprint(self) -> str:
        """Identity of the split."""
        return str(self.about["folds_fingerprint"])


def read_ground(workspace: Workspace, data: Path | None, environment: Mapping[str, str]) -> Ground:
    """Read folds, test ids and fingerprints of the last run in `workspace`.

    Args:
        data: where the test ids are looked up if no test table of ours is there; None: where the run found them.

    Raises:
        ArtifactRefusal: no run was made here, or its folds were changed since.
    """
    lacking = [
        path for path in (workspace.folds, workspace.folds_record, workspace.run_record) if not path.exists()
    ]
    if lacking:
        raise ArtifactRefusal(
            f"{lacking[0]} is not there: no run has made folds in this output folder.",
            "the folds that the predictions were made on",
            f"./run.sh run PLAN --experiments texture_hgb --output {workspace.folder} makes them; train on the "
            "column fold of its folds.csv, then add.",
        )
    run, made = read_json(workspace.run_record), read_json(workspace.folds_record)
    folds = pd.read_csv(workspace.folds, dtype={"id": str, "slide": str}, keep_default_na=False)
    if folds_fingerprint(folds) != run["folds"]["fingerprint"]:
        raise ArtifactRefusal(
            f"{workspace.folds} is not the split that the last run in this folder worked on.",
            f"folds fingerprint {run['folds']['fingerprint']}",
            "restore it, or start in a new output folder (--output).",
        )
    classes = len(run["data"]["classes"])
    outputs = classes if classes > 2 else 1
    about = {
        "slides_policy": made["policy"],
        "inner_split": None,
        "data_set": run["data"]["name"],
        "synthetic": run["data"]["synthetic"],
        "data_fingerprint": run["data"]["fingerprint"],
        "folds_fingerprint": run["folds"]["fingerprint"],
    }
    return Ground(workspace, folds, _test_ids(workspace, run, data, environment), about, outputs)


def _test_ids(
    workspace: Workspace, run: dict[str, Any], data: Path | None, environment: Mapping[str, str]
) -> pd.Series:
    """Ids of all test patches: of a test table of ours, else of the data the run worked on."""
    for path in own_tests(workspace):
        return pd.read_csv(path, dtype={"id": str}, keep_default_na=False)["id"]
    plan = Plan.model_validate(run["plan"])
    if plan.data.source == "files":
        data = data or Path(run["data"]["root"])
    source = source_of(plan, Request(data=data), environment, configs_folder(environment).parent / "input")
    if source is None:
        raise ArtifactRefusal(f"The test ids are not known in {workspace.folder}.", "--data DIR")
    return source.competition.test["id"].sort_values(ignore_index=True)


def own_tests(workspace: Workspace) -> list[Path]:
    """Paths of the test tables of the equal means, experiments (added ones too) and tasks of this folder."""
    paths = [*workspace.ensembles.glob(f"*_{REFERENCE}/test.csv"), *workspace.experiments.glob("*/test.csv")]
    paths += workspace.experiments.glob("*/fold_*/test.csv")
    return sorted(paths)
