"""The ground that all sides share: the same patches, scored within each one's own folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from histoblend.comparing.sides import Side
from histoblend.errors import ArtifactRefusal, counted, some
from histoblend.evaluation.auc import one_vs_rest, ranks_within_folds
from histoblend.evaluation.uncertainty import Ground, ground_of


@dataclass(frozen=True)
class Common:
    """What all sides predict.

    Attributes:
        names: of the sides.
        rows: id, label, slide of the patches; `folds` int (patches, sides): of each side's own split.
        logits: float64 (patches, sides, outputs).
        same_folds: whether all were made on one split; `patches`: in all folds of the first one's, finished or not.
        ground: of the first side.
        notes: what is to be said of it, in sentences.
    """

    names: tuple[str, ...]
    rows: pd.DataFrame
    folds: np.ndarray
    logits: np.ndarray
    same_folds: bool
    patches: int
    ground: Ground
    notes: tuple[str, ...]

    @property
    def ranks(self) -> np.ndarray:
        """Percentile ranks within own folds, float64 (patches, sides): of class 1; of more, of the patch's class."""
        labels = self.rows["label"].to_numpy()
        return np.stack([self._ranks(place, labels) for place in range(len(self.names))], axis=1)

    def _ranks(self, place: int, labels: np.ndarray) -> np.ndarray:
        scores = one_vs_rest(self.logits[:, place])
        ranks = np.stack([ranks_within_folds(column, self.folds[:, place]) for column in scores.T], axis=1)
        own = np.zeros_like(labels) if ranks.shape[1] == 1 else labels
        return np.asarray(np.take_along_axis(ranks, own[:, None], axis=1)[:, 0])

    def judged(self) -> tuple[Ground, np.ndarray]:
        """Ground and logits by which all sides can be judged together.

        On different splits each side's ranks within its own folds stand for its logits, and all count as one fold.
        """
        if self.same_folds:
            return self.ground, self.logits
        one_fold = np.zeros_like(self.ground.folds)
        ground = Ground(self.ground.labels, one_fold, self.ground.slides, self.ground.clusters_are)
        return ground, self.ranks[:, :, None]


def common_ground(sides: Sequence[Side]) -> Common:
    """Join the sides by id on the patches that all of them predict.

    Raises:
        ArtifactRefusal: they share too little, or are of more than two classes on different splits.
    """
    shared = set.intersection(*(set(side.rows["id"]) for side in sides))
    first = sides[0].rows
    rows = first[first["id"].isin(shared)].reset_index(drop=True)
    if rows["label"].nunique() < max(2, sides[0].logits.shape[1]):
        raise ArtifactRefusal(
            f"{' and '.join(side.name for side in sides)} share {counted(len(rows), 'patch')}: no AUC can be had of "
            f"them. Finished folds: {'; '.join(f'{side.name} {_numbers(side)}' for side in sides)}.",
            "a fold that all of them have finished",
            "train the folds that are missing.",
        )
    same = len({side.run.folds.fingerprint for side in sides}) == 1
    logits = np.stack([_in_order(side.rows, side.logits, rows["id"]) for side in sides], axis=1)
    folds = [_in_order(side.rows, side.rows["fold"].to_numpy(), rows["id"]) for side in sides]
    if not same and logits.shape[2] > 1:
        raise ArtifactRefusal(
            "Predictions of more than two classes were made on different folds.",
            "one split for all of them",
            "compare what lies in one output folder.",
        )
    return Common(
        tuple(side.name for side in sides),
        rows[["id", "label", "slide"]],
        np.stack(folds, axis=1),
        logits,
        same,
        sides[0].patches,
        ground_of(rows, sides[0].run.folds.policy),
        tuple(_notes(sides, rows, same)),
    )


def _in_order(rows: pd.DataFrame, values: np.ndarray, ids: pd.Series) -> np.ndarray:
    places = pd.Series(np.arange(len(rows)), index=rows["id"])
    return values[places.loc[ids].to_numpy()]


def _numbers(side: Side) -> str:
    return " ".join(str(number) for number in sorted(side.rows["fold"].unique()))


def _notes(sides: Sequence[Side], rows: pd.DataFrame, same: bool) -> list[str]:
    notes = []
    partial = [f"{side.name} (folds {_numbers(side)})" for side in sides if not side.all_folds]
    if partial:
        notes.append(
            f"Not all folds are finished: {some(partial)}. Everything below is of the {len(rows):,} patches that all "
            "have predictions for."
        )
    elif any(len(side.rows) != len(rows) for side in sides):
        notes.append(
            f"Some patches are not in every split: everything below is of the {len(rows):,} that are."
        )
    if not same:
        notes.append(
            "They were made on different folds: each is ranked within its own, the test is paired by patch, and part "
            "of a difference may come from the split. There is no table by fold."
        )
    return notes
