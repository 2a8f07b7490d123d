"""What an experiment or a blend scored: a row of the ranking."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from histoblend.evaluation.auc import class_auc, fold_aucs, one_vs_rest, pooled_auc
from histoblend.evaluation.uncertainty import Ground, estimates, ground_of
from histoblend.inference.tables import table_logits


@dataclass(frozen=True)
class Metrics:
    """A row of the ranking; with more than two classes every AUC is the mean of one class against the rest."""

    name: str
    kind: str
    """``experiment``, ``yardstick``, ``external`` or ``blend``."""
    complete: bool
    folds: list[int]
    auc_pooled: float
    """Over all patches predicted, on ranks within fold."""
    auc_fold_mean: float
    auc_fold_std: float | None
    """Over folds; None with fewer than two, which say nothing of how they differ."""
    auc_by_fold: dict[str, float] = field(default_factory=dict)
    tta_gain: float | None = None
    """Mean over folds of the AUC with all views minus that with one."""
    minutes: float = 0.0
    """Training and prediction of all folds together."""
    images_per_second: float | None = None
    """In training, mean over folds."""
    accuracy: float | None = None
    """Share of patches whose most probable class is theirs, out of fold; of more than two classes only."""
    local_leaderboard: float | None = None
    """AUC on the test patches whose labels are known: those of a synthetic competition, or held-out ones."""
    about: dict[str, Any] = field(default_factory=dict)
    """Data set, fold policy and fingerprints."""
    interval: dict[str, Any] | None = None
    """Of `auc_pooled`: the fields of `uncertainty.Interval`; None where it was not found out."""
    auc_in_sample: float | None = None
    """Of a blend: pooled AUC of the weights on the very patches they were learnt on; for comparison only."""


@dataclass(frozen=True)
class Scoring:
    """What predictions are made for and scored by, shared by all experiments and blends of a run.

    Attributes:
        folds: id, label, fold and more of every training patch.
        test_ids: ids of all test patches, those held out among them; may be empty.
        sample: the ids to submit, in order, in the form of sample_submission.csv; None for all test ids.
        known_labels: id, label of the test patches whose labels are known, or None.
        classes: names of the classes.
        about: data set, fold policy, fingerprints: what stands beside each score in the ranking.
    """

    folds: pd.DataFrame
    test_ids: pd.Series
    sample: pd.DataFrame | None
    known_labels: pd.DataFrame | None
    classes: tuple[str, ...]
    about: dict[str, Any]

    def ground_for(self, table: pd.DataFrame) -> Ground:
        """What the rows of an out-of-fold table are judged on, joined by id; a table of some folds will do."""
        rows = self.folds.set_index("id").loc[table["id"]].reset_index()
        return ground_of(rows, self.about["slides_policy"])

    @property
    def submits(self) -> bool:
        """Whether there is anything to submit."""
        return len(self.test_ids if self.sample is None else self.sample) > 0


def scored(table: pd.DataFrame, ground: Ground) -> dict[str, Any]:
    """Pooled AUC with its interval and fold-wise AUC of an out-of-fold table, whose rows are those of `ground`."""
    estimate = estimates(ground, table_logits(table)[:, None, :])[0]
    return areas(table) | {"interval": asdict(estimate.interval)}


def areas(table: pd.DataFrame) -> dict[str, Any]:
    """Pooled and fold-wise AUC of an out-of-fold table, without an interval."""
    labels, folds, logits = table["label"].to_numpy(), table["fold"].to_numpy(), table_logits(table)
    by_fold = fold_aucs(labels, logits, folds)
    values = np.array(list(by_fold.values()))
    several = logits.shape[1] > 1
    return {
        "accuracy": float(np.mean(logits.argmax(axis=1) == labels)) if several else None,
        "auc_pooled": pooled_auc(labels, logits, folds),
        "auc_fold_mean": float(values.mean()),
        "auc_fold_std": float(values.std(ddof=1)) if len(values) > 1 else None,
        "auc_by_fold": {str(fold): value for fold, value in by_fold.items()},
        "folds": list(by_fold),
    }


def local_leaderboard(test: pd.DataFrame, known_labels: pd.DataFrame | None) -> float | None:
    """AUC of a test table on the patches whose labels are known; None where none is, or one class only."""
    if known_labels is None:
        return None
    joined = test.merge(known_labels, on="id", validate="one_to_one")
    logits = table_logits(joined)
    classes = max(2, logits.shape[1])
    if joined["label"].nunique() < classes:
        return None
    return class_auc(joined["label"].to_numpy(), one_vs_rest(logits))
