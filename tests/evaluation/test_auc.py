from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from histoblend.evaluation import auc as areas
from histoblend.evaluation.auc import (
    FoldSplit,
    auc,
    class_auc,
    one_vs_rest,
    percentile_ranks,
    ranks_within_folds,
)


def pairs_won(labels: np.ndarray, scores: np.ndarray) -> float:
    """Every (positive, negative) pair by hand; a tie is half a win."""
    wins = [
        1.0 if positive > negative else 0.5 if positive == negative else 0.0
        for positive in scores[labels == 1]
        for negative in scores[labels == 0]
    ]
    return float(np.mean(wins))


def table(seed: int = 0, folds: int = 3, patches: int = 40) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, folds * patches)
    logits = np.round(generator.normal(labels, 1.5), 1)
    return pd.DataFrame({"label": labels, "fold": np.repeat(np.arange(folds), patches), "logit": logits})


def arrays(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return frame["label"].to_numpy(), frame[["logit"]].to_numpy(), frame["fold"].to_numpy()


def fold_aucs(frame: pd.DataFrame) -> dict[int, float]:
    return areas.fold_aucs(*arrays(frame))


def pooled_auc(frame: pd.DataFrame) -> float:
    return areas.pooled_auc(*arrays(frame))


@pytest.mark.parametrize("seed", range(3))
def test_auc_counts_pairs_with_ties_as_half(seed: int):
    frame = table(seed)
    assert frame["logit"].duplicated().any()
    labels, scores = frame["label"].to_numpy(), frame["logit"].to_numpy()
    assert auc(labels, scores) == pytest.approx(pairs_won(labels, scores), abs=1e-12)


def test_auc_of_constant_scores_is_one_half():
    assert auc(np.array([0, 1, 1]), np.zeros(3)) == 0.5


def test_percentile_ranks_keep_ties_and_lie_in_0_1():
    np.testing.assert_allclose(percentile_ranks(np.array([3.0, 1.0, 1.0, 2.0])), [1.0, 0.375, 0.375, 0.75])


def test_ranks_are_taken_fold_by_fold():
    ranks = ranks_within_folds(np.array([5.0, 6.0, 100.0, 200.0]), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(ranks, [0.25, 0.75, 0.25, 0.75])


def test_scores_that_say_nothing_have_half_an_auc_in_folds_of_any_size():
    folds, labels = np.repeat([0, 1, 2], [5, 50, 7]), np.random.default_rng(0).integers(0, 2, 62)
    assert areas.pooled_auc(labels, np.zeros((62, 1)), folds) == 0.5


def test_fold_aucs_are_those_of_whole_folds_whatever_the_order_of_rows():
    frame = table()
    expected = {
        fold: pairs_won(part["label"].to_numpy(), part["logit"].to_numpy())
        for fold, part in frame.groupby("fold")
    }
    assert fold_aucs(frame.sample(frac=1, random_state=1)) == pytest.approx(expected)


def test_a_fold_auc_is_no_mean_of_batch_aucs():
    """Scores that rise from batch to batch: each batch is ranked perfectly, the fold is not."""
    labels = np.array([0, 1] * 6)
    scores = np.arange(12.0)
    batches = [auc(labels[start : start + 4], scores[start : start + 4]) for start in range(0, 12, 4)]
    frame = pd.DataFrame({"label": labels, "fold": 0, "logit": scores})
    assert fold_aucs(frame)[0] == pytest.approx(pairs_won(labels, scores))
    assert fold_aucs(frame)[0] < np.mean(batches) - 0.1


def test_pooled_auc_forgives_folds_their_scale():
    frame = table()
    moved = frame.assign(logit=frame["logit"] * 2 + 10 * frame["fold"])
    assert pooled_auc(moved) == pooled_auc(frame)
    assert auc(moved["label"].to_numpy(), moved["logit"].to_numpy()) != pooled_auc(frame)


def test_pooled_auc_of_one_fold_is_its_auc():
    frame = table(folds=1)
    assert pooled_auc(frame) == pytest.approx(fold_aucs(frame)[0])


def test_classes_are_scored_one_against_the_rest_as_scikit_learn_does():
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 4
    logits = generator.normal(size=(90, 4)) + 1.5 * np.eye(4)[labels]
    expected = roc_auc_score(labels, softmax(logits, axis=1), multi_class="ovr", average="macro")
    assert class_auc(labels, one_vs_rest(logits)) == pytest.approx(expected)
    assert areas.fold_aucs(labels, logits, np.zeros(90))[0] == pytest.approx(expected)
    assert areas.pooled_auc(labels, logits, np.zeros(90)) == pytest.approx(expected)


def test_one_vs_rest_log_odds_do_not_saturate_or_move_with_a_constant():
    logits = np.array([[60.0, 0.0, 0.0], [61.0, 0.0, 0.0]])
    odds = one_vs_rest(logits)
    assert odds[1, 0] - odds[0, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(one_vs_rest(logits + 7), odds)
    np.testing.assert_allclose(odds[0, 0], 60 - np.log(2))


def test_two_classes_in_one_output_or_in_two_score_alike():
    frame = table()
    logits = frame[["logit"]].to_numpy()
    two = class_auc(frame["label"].to_numpy(), one_vs_rest(np.hstack([np.zeros_like(logits), logits])))
    assert two == pytest.approx(auc(frame["label"].to_numpy(), logits[:, 0]))


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auc_is_that_of_scikit_learn_with_and_without_weights(decimals: int, dtype: type):
    generator = np.random.default_rng(decimals)
    labels = generator.integers(0, 2, 500)
    scores = np.round(generator.normal(labels, 1.5), decimals).astype(dtype)
    weights = generator.integers(0, 4, 500).astype(float)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    weighted = roc_auc_score(labels, scores, sample_weight=weights)
    assert auc(labels, scores, weights) == pytest.approx(weighted, abs=1e-12)


def test_whole_weights_are_repeated_rows():
    labels, scores, weights = np.array([0, 1, 1, 0]), np.array([0.1, 0.3, 0.1, 0.2]), np.array([2, 0, 3, 1])
    repeated = auc(labels.repeat(weights), scores.repeat(weights))
    assert auc(labels, scores, weights) == pytest.approx(repeated, abs=1e-15)


def test_infinite_scores_are_ranked_and_tie_with_each_other():
    labels = np.array([0, 1, 1, 0])
    assert auc(labels, np.array([-np.inf, np.inf, 0.0, np.inf])) == pytest.approx(0.625)


def test_zeros_of_either_sign_tie():
    assert auc(np.array([0, 1]), np.array([-0.0, 0.0])) == auc(np.array([1, 0]), np.array([-0.0, 0.0])) == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "weights", "said"),
    [
        ([0, 1, 1], [0.1, np.nan, 0.2], None, "1 of 3 scores are not a number"),
        ([1, 1, 1], [0.1, 0.3, 0.2], None, "both classes: 3 positives, 0 negatives"),
        ([0, 1, 2], [0.1, 0.3, 0.2], None, "Labels must be 0 or 1"),
        ([0, 1, 1], [0.1, 0.3], None, "shape"),
        ([0, 1, 1], [0.1, 0.3, 0.2], [1, -1, 1], "none below 0"),
        ([0, 1, 1], [0.1, 0.3, 0.2], [0, 1, 1], "weight on both classes"),
    ],
)
def test_what_has_no_auc_is_refused(labels: list, scores: list, weights: list | None, said: str):
    with pytest.raises(ValueError, match=said):
        auc(np.array(labels), np.array(scores), None if weights is None else np.array(weights))


def test_percentile_ranks_are_scipys():
    scores = np.round(np.random.default_rng(0).normal(size=300), 1)
    np.testing.assert_array_equal(percentile_ranks(scores), rankdata(scores) / 300)
    with pytest.raises(ValueError, match="not a number"):
        percentile_ranks(np.array([0.0, np.nan]))


def test_columns_are_scored_one_by_one():
    frame = table(2)
    labels, scores = frame["label"].to_numpy(), np.random.default_rng(0).normal(size=(len(frame), 3))
    assert areas.aucs(labels, scores).tolist() == [auc(labels, column) for column in scores.T]


@pytest.mark.parametrize("decimals", [0, 2])
@pytest.mark.parametrize("classes", [2, 3])
def test_prepared_folds_score_to_the_last_bit_as_ranks_within_folds_do(decimals: int, classes: int):
    generator = np.random.default_rng(classes)
    labels, folds = generator.integers(0, classes, 301), generator.integers(0, 4, 301)
    folds[labels == 0] %= 3  # a fold without a class
    scores = np.round(generator.normal(size=(301, 1 if classes == 2 else classes)), decimals)
    ranks = np.stack([ranks_within_folds(column, folds) for column in scores.T], axis=1)
    prepared = FoldSplit(labels, folds)
    assert prepared.pooled_auc(scores) == class_auc(labels, ranks)
