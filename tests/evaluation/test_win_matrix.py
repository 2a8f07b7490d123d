from __future__ import annotations

import numpy as np
import pytest

from histoblend.evaluation import win_matrix as module
from histoblend.evaluation.win_matrix import win_matrix


def pair_by_pair(labels: np.ndarray, scores: np.ndarray, slides: np.ndarray, count: int) -> np.ndarray:
    won = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    won *= (labels == 1)[:, None] & (labels == 0)
    wins = np.zeros((count, count))
    np.add.at(wins, (np.repeat(slides, len(labels)), np.tile(slides, len(labels))), won.ravel())
    return wins


@pytest.mark.parametrize(
    ("patches", "slides", "decimals"), [(300, 7, 1), (257, 400, 9), (500, 3, 0), (31, 2, 9)]
)
def test_wins_are_those_counted_pair_by_pair(patches: int, slides: int, decimals: int, monkeypatch):
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 100)
    generator = np.random.default_rng(patches)
    labels, slide = generator.integers(0, 2, patches), generator.integers(0, slides, patches)
    scores = np.round(generator.normal(labels, 1.0), decimals)
    expected = pair_by_pair(labels, scores, slide, slides)
    np.testing.assert_array_equal(win_matrix(labels, scores, slide, slides), expected)


def test_all_equal_scores_share_every_pair():
    labels, slides = np.array([0, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 1])
    np.testing.assert_array_equal(win_matrix(labels, np.zeros(5), slides, 2), [[0.5, 1.0], [0.5, 1.0]])


def test_a_perfect_ranking_wins_every_pair():
    labels, slides = np.array([0] * 100 + [1] * 100), np.zeros(200, np.int64)
    assert win_matrix(labels, np.arange(200.0), slides, 1) == [[10_000]]
    assert win_matrix(labels, -np.arange(200.0), slides, 1) == [[0]]
