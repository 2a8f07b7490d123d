"""What added predictions are like: against the labels, and beside the predictions that are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.auc import one_vs_rest
from histoblend.evaluation.metrics import areas
from histoblend.external.ground import Ground, own_tests
from histoblend.inference.tables import read_out_of_fold, read_test, table_logits
from histoblend.reporting.progress import Display

THE_SAME = 0.99999  # rank correlation from which two predictions are one
SUSPICIOUS = 0.4  # by how much a rank correlation on test may lie below that out of fold


@dataclass(frozen=True)
class Tables:
    """Both tables in our form; `read` says for the record how theirs were understood."""

    out_of_fold: pd.DataFrame | None
    test: pd.DataFrame | None
    read: dict[str, Any] = field(default_factory=dict)


def check_direction(path: Path | None, tables: Tables) -> None:
    """Scores that rank against the labels, by more than chance, would pull every blend down."""
    if tables.out_of_fold is None:
        return
    found = areas(tables.out_of_fold)["auc_pooled"]
    if found < 0.5 - 3 * chance_deviation(tables.out_of_fold["label"].to_numpy()):
        raise ArtifactRefusal(
            f"{path} ranks against the labels: AUC {found:.4f}.",
            "a score that is higher where the label is",
            "is it the probability of the other class, or are its rows in another order than its ids?",
        )


def chance_deviation(labels: np.ndarray) -> float:
    """Standard deviation of the AUC of scores that say nothing (Mann and Whitney 1947), of the rarest class."""
    counts = np.bincount(labels)
    rare, others = int(counts.min()), int(len(labels) - counts.min())
    return float(np.sqrt((rare + others + 1) / (12 * rare * others)))


def _correlations(tables: Tables, ground: Ground) -> list[tuple[str, float | None, float]]:
    """Name and rank correlation out of fold and on test with each of our complete experiments and blends."""
    found = []
    for path in own_tests(ground.workspace):
        if path.parent.name.startswith("fold_") or len(ground.test_ids) < 2 or tables.test is None:
            continue
        on_test = _rank_correlation(tables.test, read_test(path, ground.test_ids))
        out_of_fold = None
        if tables.out_of_fold is not None and (beside := path.with_name("oof.csv")).exists():
            ours = read_out_of_fold(beside, ground.folds)
            out_of_fold = _rank_correlation(tables.out_of_fold, ours)
        found.append((path.parent.name, out_of_fold, on_test))
    return found


def _rank_correlation(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Spearman's, of tables in one order; with more classes the mean over them."""
    pairs = zip(one_vs_rest(table_logits(one)).T, one_vs_rest(table_logits(other)).T, strict=True)
    return float(np.mean([spearmanr(ours, theirs).statistic for ours, theirs in pairs]))


def compare(name: str, tables: Tables, ground: Ground, display: Display) -> None:
    """Say how the new predictions agree with those that are there; much less on test than out of fold is suspicious."""
    for other, out_of_fold, on_test in _correlations(tables, ground):
        if other == name:
            continue
        before = "" if out_of_fold is None else f"out of fold {out_of_fold:.3f}, "
        display.tell(f"{name}: rank correlation with {other}: {before}on test {on_test:.3f}.")
        if out_of_fold is not None and min(out_of_fold, on_test) > THE_SAME:
            display.warn(f"{name}: the same predictions as {other}; in one blend they would count twice.")
        if out_of_fold is not None and on_test < out_of_fold - SUSPICIOUS:
            display.warn(f"{name}: much less on test: do the rows of the test file stand beside their ids?")
