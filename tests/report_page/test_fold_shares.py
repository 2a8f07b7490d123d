"""Why a pooled AUC lies below the mean of the folds' AUCs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.artifacts.reading import read_artifacts
from histoblend.evaluation.auc import pooled_auc
from histoblend.report_page.fold_shares import below_fold_mean, highest_pooled
from histoblend.workspace import Workspace


@pytest.mark.parametrize("shares", [(0.5, 0.2), (0.3, 0.3), (0.9, 0.1), (0.0, 0.6)])
def test_no_scores_of_the_folds_pool_higher(shares: tuple[float, float]) -> None:
    sizes = (3000, 1000)
    folds = np.repeat([0, 1], sizes)
    labels = np.concatenate([np.arange(size) < part * size for size, part in zip(sizes, shares, strict=True)])
    perfect = labels + 0.5 * np.random.default_rng(0).random(len(labels))
    found = pooled_auc(labels.astype(int), perfect[:, None], folds)
    assert highest_pooled(labels, folds) == pytest.approx(found, abs=2e-3)
    assert (highest_pooled(labels, folds) == pytest.approx(1)) == (shares[0] == shares[1])


@pytest.fixture(scope="module")
def artifacts(whole_once: Path) -> Artifacts:
    return read_artifacts(Workspace(whole_once))


def with_scores(artifacts: Artifacts, pooled: float, mean: float) -> Candidate:
    lead = artifacts.lead
    assert lead is not None
    return replace(lead, metrics=replace(lead.metrics, auc_pooled=pooled, auc_fold_mean=mean))


def test_a_small_gap_needs_no_word(artifacts: Artifacts) -> None:
    assert below_fold_mean(with_scores(artifacts, 0.9, 0.9099), artifacts) == ""
    assert below_fold_mean(with_scores(artifacts, 0.95, 0.9), artifacts) == ""


def test_shares_are_named_where_they_differ(artifacts: Artifacts) -> None:
    torn = with_scores(artifacts, 0.88, 0.95)
    folds = torn.table["fold"].to_numpy()
    by_label = torn.table.assign(fold=np.where(torn.labels == 1, 0, folds))  # fold 1 has no positive
    labels = artifacts.folds["label"].to_numpy()
    split = artifacts.folds.assign(fold=np.where(labels == 1, 0, artifacts.folds["fold"]))
    said = below_fold_mean(replace(torn, table=by_label), replace(artifacts, folds=split))
    assert "AUC of plan_logit_mean (0.8800) lies below the mean of its folds (0.9500)" in said
    assert "the share of tumour differs from fold to fold (from 0.0" in said


def test_shares_are_not_blamed_where_they_are_alike(artifacts: Artifacts) -> None:
    said = below_fold_mean(with_scores(artifacts, 0.88, 0.95), artifacts)
    assert "hard to tell apart weigh more" in said and "share" not in said
