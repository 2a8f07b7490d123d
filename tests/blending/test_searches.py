from __future__ import annotations

import numpy as np
import pytest

from histoblend.blending import searches
from histoblend.blending.searches import best_weights, climbed_weights, greedy_weights
from histoblend.blending.training import Training
from histoblend.evaluation.auc import pooled_auc


def planted(shares: list[float], rows: int = 4000, seed: int = 0) -> Training:
    """Labels drawn by the logit sum of shares x members: these shares rank best."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, len(shares), 1))
    chance = 1 / (1 + np.exp(-4 * logits[..., 0] @ np.array(shares)))
    labels = (generator.random(rows) < chance).astype(np.int64)
    names = tuple("abcdefghijkl"[: len(shares)])
    return Training(names, logits, labels, generator.integers(0, 3, rows))


@pytest.mark.parametrize("search", [greedy_weights, climbed_weights])
def test_a_search_finds_the_planted_shares(search):
    """Two parts of the first, one of the second, none of the third: the first has to be taken again."""
    weights = search(planted([2 / 3, 1 / 3, 0.0]))
    np.testing.assert_allclose(weights, [2 / 3, 1 / 3, 0.0], atol=0.09)


@pytest.mark.parametrize("search", [greedy_weights, climbed_weights])
def test_a_search_is_never_worse_in_sample_than_the_best_member(search):
    training = planted([0.1, 0.2, 0.0, 0.0, 0.7], rows=300)
    values = [
        pooled_auc(training.labels, np.einsum("nmo,m->no", training.logits, weights), training.groups)
        for weights in (search(training), best_weights(training))
    ]
    assert values[0] >= values[1] > 0.8


def test_the_best_member_is_the_one_with_the_highest_auc_pooled_on_ranks():
    """The first member orders all patches wrongly across folds and rightly within: ranks see only the latter."""
    labels, groups = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    logits = np.stack([[0.0, 1.0, -9.0, -8.0], [1.0, 0.0, 0.0, 1.0]], axis=1)[..., None]
    np.testing.assert_array_equal(best_weights(Training(("a", "b"), logits, labels, groups)), [1.0, 0.0])


def test_bags_hold_back_members_from_a_search_over_many():
    """One member is best by far: without bags it would have all; half of the bags never see it."""
    training = planted([1.0, *[0.0] * 11], rows=400)
    weights = greedy_weights(training)
    assert weights.argmax() == 0 and 0.3 < weights[0] < 0.95
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()


def test_a_sample_of_rows_sorted_by_fold_holds_every_fold_alike(monkeypatch: pytest.MonkeyPatch):
    training = planted([1.0, 0.0])
    training = training.rows(np.argsort(training.groups, kind="stable"))
    monkeypatch.setattr(searches, "SEARCH_ROWS", 600)
    shares = []
    rows = Training.rows

    def watched(self: Training, chosen: np.ndarray) -> Training:
        shares.append(np.bincount(self.groups[chosen], minlength=3) / len(chosen))
        return rows(self, chosen)

    monkeypatch.setattr(Training, "rows", watched)
    for search in (greedy_weights, climbed_weights):
        search(training)
    np.testing.assert_allclose(shares, np.full((searches.BAGS + 1, 3), 1 / 3), atol=0.08)


def test_a_search_over_many_rows_looks_at_a_seeded_sample(monkeypatch: pytest.MonkeyPatch):
    training = planted([2 / 3, 1 / 3, 0.0])
    monkeypatch.setattr(searches, "SEARCH_ROWS", 1500)
    seen: list[int] = []
    objective = Training.objective

    def watched(self: Training):
        seen.append(len(self.labels))
        return objective(self)

    monkeypatch.setattr(Training, "objective", watched)
    for search in (greedy_weights, climbed_weights):
        first, again = search(training), search(training)
        np.testing.assert_array_equal(first, again)
        np.testing.assert_allclose(first, [2 / 3, 1 / 3, 0.0], atol=0.1)
    assert set(seen) == {4000, 1500}  # the order of members is that of all rows
