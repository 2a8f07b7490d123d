"""What a run has left in its output folder: folds, and out-of-fold predictions of complete experiments."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from histoblend.audit.label_noise import Probabilities
from histoblend.data.folds import read_folds
from histoblend.errors import Refusal
from histoblend.inference.predict import probabilities
from histoblend.inference.tables import read_out_of_fold, table_logits
from histoblend.workspace import Workspace, read_json


@dataclass(frozen=True)
class RunOutput:
    """What fits the data under audit.

    Attributes:
        folds: id, label, slide, fold; None where there are none, or none of this data.
        predictions: (n, classes) by experiment, in the order of `folds`.
        refused: what was there and does not fit, in words.
    """

    folds: pd.DataFrame | None = None
    predictions: dict[str, Probabilities] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def read_run_output(workspace: Workspace, train: pd.DataFrame) -> RunOutput:
    """Folds and predictions of `workspace`, as far as they are there and of the patches `train` (id, label)."""
    if not workspace.folds.exists():
        return RunOutput()
    try:
        ids = pd.read_csv(workspace.folds, dtype=str, keep_default_na=False)["id"]
        folds = read_folds(workspace.folds, train[train["id"].isin(ids)])  # those dropped are in no fold
    except (Refusal, KeyError, ValueError) as error:
        return RunOutput(refused=(str(error).splitlines()[0],))
    predictions, refused = {}, []
    for path in sorted(workspace.experiments.glob("*/metrics.json")):
        experiment = workspace.experiment(path.parent.name)
        try:
            if read_json(experiment.metrics)["complete"]:
                table = read_out_of_fold(experiment.out_of_fold, folds)
                predictions[path.parent.name] = _all_classes(probabilities(table_logits(table)))
        except Refusal as refusal:
            refused.append(refusal.found)
    return RunOutput(folds, predictions, tuple(refused))


def _all_classes(given: Probabilities) -> Probabilities:
    """Probabilities (n, classes): of one column, that of the second of two classes, both."""
    return np.hstack([1 - given, given]) if given.shape[1] == 1 else given
