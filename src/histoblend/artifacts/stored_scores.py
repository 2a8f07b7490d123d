"""Stored scores held against the predictions they were computed from, name by name."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from histoblend.artifacts.checks import check_scores, read_split
from histoblend.artifacts.forms import RunNote, read_form
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.metrics import Metrics
from histoblend.inference.tables import read_out_of_fold
from histoblend.restoring import remedy_for
from histoblend.workspace import EnsembleFolder, ExperimentFolder, TaskFolder, Workspace


def contradictions(metrics: Sequence[Metrics], workspace: Workspace) -> list[str]:
    """What no longer follows from the predictions that lie there, a sentence each; empty where all does."""
    try:
        run = read_form(workspace.run_record, RunNote)
        folds = read_split(workspace, run)
    except ArtifactRefusal as refusal:
        return [f"Scores could not be held against their predictions: {refusal.found}"]
    found = []
    for one in metrics:
        try:
            _check(one, workspace, folds, run.about)
        except ArtifactRefusal as refusal:
            found.append(f"{one.name} is not to be trusted: {refusal.found}")
    return found


def _check(one: Metrics, workspace: Workspace, folds: pd.DataFrame, about: dict[str, str]) -> None:
    if not one.folds:  # predictions of test patches alone: there is no score
        return
    folder: EnsembleFolder | ExperimentFolder = workspace.experiment(one.name)
    if one.kind == "blend":
        folder = workspace.ensemble(one.name)
    check_scores(folder.metrics, one, _table(folder, one, folds), about)


def _table(folder: EnsembleFolder | ExperimentFolder, one: Metrics, folds: pd.DataFrame) -> pd.DataFrame:
    """The predictions a score was computed from: of all folds, or of those that were finished."""
    if one.complete or isinstance(folder, EnsembleFolder):
        return _predictions(folder, folds)
    parts = [_predictions(folder.task(fold), folds[folds["fold"] == fold]) for fold in one.folds]
    joined = pd.concat(parts).set_index("id")
    return joined.loc[folds["id"][folds["fold"].isin(one.folds)]].reset_index()


def _predictions(folder: EnsembleFolder | ExperimentFolder | TaskFolder, folds: pd.DataFrame) -> pd.DataFrame:
    if not folder.out_of_fold.exists():
        raise ArtifactRefusal(
            f"{folder.out_of_fold} is not there.",
            "the predictions it was scored by",
            remedy_for(folder.out_of_fold),
        )
    return read_out_of_fold(folder.out_of_fold, folds)
