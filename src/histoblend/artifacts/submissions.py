"""What is handed in, held against the predictions it is of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.artifacts.artifacts import Candidate
from histoblend.artifacts.checks import AGREEMENT, read_words
from histoblend.artifacts.forms import BlendAudit
from histoblend.blending.submission import submission_table
from histoblend.errors import ArtifactRefusal, some
from histoblend.restoring import remedy_for
from histoblend.workspace import Workspace

SCALES = ("rank", "probability")  # that of the run that wrote it is not known for sure


def check_submissions(
    workspace: Workspace, audit: BlendAudit | None, found: Sequence[Candidate], classes: tuple[str, ...]
) -> None:
    """Hold submission.csv and submission_alternative.csv against the test tables of the recommended ones.

    Raises:
        ArtifactRefusal: a value is not what the test table makes it; names the ids.
    """
    tests = {one.name: one.test for one in found}
    paths = (workspace.submission, workspace.submission_alternative)
    for path, final in zip(paths, audit.finals if audit else (), strict=False):
        test = tests.get(final.name)
        if path.exists() and test is not None:
            _check(path, final.name, test, classes)


def _check(path: Path, name: str, test: pd.DataFrame, classes: tuple[str, ...]) -> None:
    there = read_words(path)
    ids = there.iloc[:, 0]
    wrong = list(ids[~ids.isin(test["id"]) | ids.duplicated()])
    if not wrong:
        unlike = [_unlike(there, test, scale, classes) for scale in SCALES]
        wrong = list(ids[min(unlike, key=np.count_nonzero)])
    if wrong:
        raise ArtifactRefusal(
            f"{path} is not what the test predictions of {name} make it, for {some(wrong)}.",
            f"the ids and values of {name}, as its test.csv has them",
            remedy_for(path),
        )


def _unlike(there: pd.DataFrame, test: pd.DataFrame, scale: str, classes: tuple[str, ...]) -> np.ndarray:
    """bool (n,): the rows of a submission that are not those of the test table on this scale."""
    right = submission_table(test, there, scale, classes).iloc[:, 1]
    if len(classes) > 2:
        return (there.iloc[:, 1] != right).to_numpy()
    values = pd.to_numeric(there.iloc[:, 1], errors="coerce")
    return ~(np.abs(values - right) <= AGREEMENT).to_numpy()
