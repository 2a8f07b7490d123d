from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.blending.members import Member, joined_logits
from histoblend.errors import ArtifactRefusal
from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.reporting.progress import Display

FOLDS = pd.DataFrame({"id": list("abcd"), "label": [0, 1, 0, 1], "fold": [0, 0, 1, 1]})
IDS = pd.Series(list("xyz"))


def member(name: str, start: float, split: str = "s", seed: int | None = None) -> Member:
    """Logits start, start + 1, ... by id; with a seed the rows are shuffled."""
    oof = FOLDS.assign(logit=start + np.arange(4.0))
    test = pd.DataFrame({"id": IDS, "logit": start + np.arange(3.0)})
    if seed is not None:
        oof, test = (frame.sample(frac=1, random_state=seed) for frame in (oof, test))
    return Member(name, oof, test, split)


def test_members_are_joined_by_id_whatever_the_order_of_their_rows():
    joined = joined_logits([member("a", 0.0, seed=1), member("b", 10.0, seed=2)], FOLDS, IDS)
    assert joined.names == ("a", "b")
    np.testing.assert_array_equal(joined.out_of_fold[..., 0], [[0, 10], [1, 11], [2, 12], [3, 13]])
    np.testing.assert_array_equal(joined.test[..., 0], [[0, 10], [1, 11], [2, 12]])


def test_seeds_of_one_experiment_are_averaged_first():
    """Three seeds of one experiment count as one member beside another experiment."""
    members = [member("a", 0.0), member("a.seed1", 3.0), member("a.seed2", 6.0), member("b", 10.0)]
    joined = joined_logits(members, FOLDS, IDS)
    assert joined.names == ("a", "b")
    np.testing.assert_array_equal(joined.test[0, :, 0], [3.0, 10.0])


def test_members_of_other_folds_are_refused():
    with pytest.raises(ArtifactRefusal, match="a and b were trained on different folds"):
        joined_logits([member("a", 0.0), member("b", 1.0, split="t")], FOLDS, IDS)


def test_what_else_lies_in_the_output_is_not_blended(finished: Path, toy: Path):
    """Neither a stray experiment nor stray tables with a flattering name."""
    before = (finished / "submission.csv").read_bytes()
    shutil.copytree(finished / "experiments/first", finished / "experiments/stray")
    shutil.copy(finished / "experiments/first/test.csv", finished / "experiments/second/test_0.9999.csv")
    shutil.copy(
        finished / "experiments/first/fold_0/oof.csv", finished / "experiments/second/oof_fold0_auc1.0.csv"
    )
    ranking = run(Request("toy", toy, finished), Display(), dict(os.environ))
    assert "stray" not in set(ranking["name"])
    weights = json.loads((finished / "ensembles/toy_logit_mean/weights.json").read_text())["weights"]
    assert weights == {"first": 0.5, "second": 0.5}
    assert (finished / "submission.csv").read_bytes() == before
