"""Whether test looks like train: adversarial validation on cheap statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoblend.audit.description import FEATURES
from histoblend.audit.findings import Finding
from histoblend.data.stain import Float32Array
from histoblend.evaluation.auc import auc

PARTS_OF_CV = 5
MOST_ROWS = 10_000  # of each side: more change the AUC little and take minutes
FEWEST_ROWS = 20
NAMED = 3  # statistics named in the sentence
APART = 0.7


def separability(left: Float32Array, right: Float32Array, seed: int = 0) -> float:
    """Cross-validated AUC of telling rows of `left` (n, d) from rows of `right` (m, d): .5 where they are alike.

    Folds are random, not by slide: patches of one slide stand on both sides of them, so two sets of different
    slides are told apart by slide alone.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    features = np.vstack([left, right])
    labels = np.repeat([0, 1], [len(left), len(right)])
    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, early_stopping=False, random_state=seed
    )
    folds = StratifiedKFold(PARTS_OF_CV, shuffle=True, random_state=seed)
    scores = cross_val_predict(model, features, labels, cv=folds, method="decision_function")
    return auc(labels, scores)


def shift_finding(
    train: Float32Array, test: Float32Array, folds: NDArray[np.int64] | None = None
) -> Finding | None:
    """How well test patches are told from training patches, and by which statistics; None where there are too few.

    Args:
        train, test: float32 (n, 19), `description.FEATURES`.
        folds: fold of each training patch, -1 for none: how well fold 0 is told from the others is the yardstick
            for what different slides of one source come to.
    """
    if min(len(train), len(test)) < FEWEST_ROWS:
        return None
    left, right = _thinned(train), _thinned(test)
    measured = separability(left, right)
    between_folds = _fold_separability(train, folds)
    apart = measured > APART and measured > (between_folds or 0) + 0.05
    yardstick = (
        "" if between_folds is None else f"; fold 0 from the other folds, as a yardstick: {between_folds:.3f}"
    )
    differing = _differing(left, right)
    named = "; ".join(f"{name} {low:.3f} -> {high:.3f}" for name, (low, high, _) in differing[:NAMED])
    return Finding(
        kind="train against test",
        severity="odd" if apart else "note",
        part="train + test",
        sentence=f"A classifier on {len(FEATURES)} statistics tells test from train with AUC {measured:.3f} "
        f"(.5: alike){yardstick}. Other slides alone lift it. Most different, median in train -> test: {named}.",
        number=len(left) + len(right),
        values={
            "auc": measured,
            "auc_fold_0_against_others": between_folds,
            "statistics": {
                name: {"train": low, "test": high, "auc": score} for name, (low, high, score) in differing
            },
        },
    )


def _fold_separability(train: Float32Array, folds: NDArray[np.int64] | None) -> float | None:
    if folds is None or min((folds == 0).sum(), (folds > 0).sum()) < FEWEST_ROWS:
        return None
    return separability(_thinned(train[folds > 0]), _thinned(train[folds == 0]))


def _thinned(rows: Float32Array) -> Float32Array:
    return rows[:: -(-len(rows) // MOST_ROWS)]


def _differing(left: Float32Array, right: Float32Array) -> list[tuple[str, tuple[float, float, float]]]:
    """Medians on both sides and AUC of each statistic alone, the most telling first."""
    labels = np.repeat([0, 1], [len(left), len(right)])
    scores = [auc(labels, column) for column in np.vstack([left, right]).T]
    medians = np.median(left, axis=0), np.median(right, axis=0)
    rows = [
        (name, (float(low), float(high), float(score)))
        for name, low, high, score in zip(FEATURES, *medians, scores, strict=True)
    ]
    return sorted(rows, key=lambda row: -abs(row[1][2] - 0.5))
