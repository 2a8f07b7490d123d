from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.blending.ensemble import BlendInputs, write_ensembles
from histoblend.blending.members import Member
from histoblend.evaluation.metrics import Scoring
from histoblend.inference import tables
from histoblend.workspace import Workspace, read_json

FOLDS = pd.DataFrame({"id": list("abcd"), "label": [0, 1, 0, 1], "fold": [0, 0, 1, 1]})
IDS = pd.Series(list("xyz"))


def member(name: str) -> Member:
    return Member(
        name,
        tables.out_of_fold_table(FOLDS, np.arange(4.0)[:, None]),
        tables.test_table(IDS, np.arange(3.0)[:, None]),
        "s",
    )


def test_a_blend_names_its_members_and_the_seeds_averaged_as_each(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    scoring = Scoring(FOLDS, IDS, None, None, ("no tumour", "tumour"), {})
    blended = [member(name) for name in ("a", "b", "a.seed2")]
    write_ensembles(blended, BlendInputs(workspace, "plan", "rank", scoring))
    content = read_json(workspace.ensemble("plan_logit_mean").weights)
    assert content["weights"] == {"a": 0.5, "b": 0.5}
    assert content["members"] == {"a": ["a", "a.seed2"], "b": ["b"]}
