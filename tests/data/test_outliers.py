"""Colour outliers: alone and far is out, far with company is not; blank patches and flat statistics do no harm."""

from __future__ import annotations

import numpy as np

from histoblend.data.outliers import OUTLYING, colour_distances
from histoblend.data.stain import STATISTICS


def statistics(count: int, at: float = 0.0, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(at, 1, (count, len(STATISTICS))).astype(np.float32)


def everyone(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), dtype=bool)


def test_ordinary_patches_are_no_outliers() -> None:
    values = statistics(500)
    assert colour_distances(values, everyone(values)).max() < OUTLYING


def test_one_far_off_is_found_and_a_slide_of_its_own_is_not() -> None:
    values = np.concatenate([statistics(500), statistics(30, at=12, seed=1), statistics(1, at=-25, seed=2)])
    far = np.flatnonzero(colour_distances(values, everyone(values)) > OUTLYING)
    assert list(far) == [530]


def test_units_do_not_matter() -> None:
    values = statistics(200)
    scaled = values * np.logspace(-1, 2, len(STATISTICS), dtype=np.float32) + 5
    assert np.allclose(
        colour_distances(values, everyone(values)), colour_distances(scaled, everyone(values)), rtol=1e-3
    )


def test_blank_patches_are_left_out() -> None:
    values = np.concatenate([statistics(100), statistics(1, at=40)])
    ordinary = everyone(values)
    ordinary[100] = False
    distances = colour_distances(values, ordinary)
    assert distances[100] == 0 and distances[:100].min() > 0


def test_few_or_equal_patches() -> None:
    for values in (statistics(0), statistics(2), statistics(5), np.ones((30, len(STATISTICS)), np.float32)):
        distances = colour_distances(values, everyone(values))
        assert distances.shape == (len(values),) and np.isfinite(distances).all()
        assert not (distances > OUTLYING).any()
