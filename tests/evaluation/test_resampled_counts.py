"""Counts of cells under resampling, and how far intervals made of them reach."""

from __future__ import annotations

import numpy as np
import pytest

from histoblend.evaluation.resampled_counts import (
    cluster_counts,
    drawn_clusters,
    reach_over,
    resampled_counts,
)
from histoblend.evaluation.uncertainty import Ground

LABELS = np.array([0, 1, 0, 1, 0, 1])
GROUND = Ground(LABELS, np.zeros(6, int), np.array(list("aabbcd"), dtype=object), "slides")
ALONE = Ground(LABELS, np.zeros(6, int), None, "patches")


def test_a_resample_counts_the_patches_of_the_slides_drawn():
    clusters = drawn_clusters(GROUND)
    assert clusters is not None
    cells = np.array([0, 1, 2, 2, 0, 1])
    by_hand = np.array([[1, 1, 0], [0, 0, 2], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(cluster_counts(cells, 3, clusters), by_hand)
    np.testing.assert_array_equal(resampled_counts(cells, 3, clusters), clusters.drawn @ by_hand)


def test_patches_without_slides_are_drawn_one_by_one():
    cells = np.repeat([0, 1], [300, 100])
    assert drawn_clusters(ALONE) is None
    drawn = resampled_counts(cells, 2, None)
    assert (drawn.sum(axis=1) == 400).all()
    assert drawn[:, 1].std() == pytest.approx(np.sqrt(400 * 0.25 * 0.75), rel=0.1)


@pytest.mark.parametrize(
    ("influence", "reach"),
    [([1.0, -1.0, 1.0, -1.0], 3.18245), ([1.0, 0.0, 0.0, 0.0], 12.70620), ([0.0, 1.0, 1.0, 0.0], 4.30265)],
)
def test_the_reach_is_students_by_the_slides_that_decide(influence: list[float], reach: float):
    """Four alike: three degrees of freedom; one or two that decide: so many."""
    draws = np.random.default_rng(0).normal(size=(500, 3))
    found = reach_over(GROUND, draws, drawn_clusters(GROUND), np.array(influence))
    np.testing.assert_allclose(found.error, draws.std(axis=0, ddof=1) * np.sqrt(4 / 3))
    np.testing.assert_allclose(found.half, reach * found.error, rtol=1e-5)
    assert "4 slides only" in str(found.warning)


def test_the_reach_of_independent_patches_is_the_normals():
    draws = np.append(np.random.default_rng(0).normal(size=500), np.nan)
    found = reach_over(ALONE, draws, None, np.empty(0))
    assert float(found.half) == pytest.approx(1.959964 * np.nanstd(draws, ddof=1) * np.sqrt(6 / 5))
    assert "too short" in str(found.warning)
