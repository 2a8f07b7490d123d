"""Counts of patches in cells when slides (or, where none is known, patches) are drawn anew."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from histoblend.evaluation.slide_bootstrap import SEED, slide_counts, slide_numbers
from histoblend.evaluation.uncertainty import LEVEL, Ground

RESAMPLES = 1000


def resampled_counts(
    ground: Ground, cells: np.ndarray, number: int, resamples: int = RESAMPLES
) -> tuple[np.ndarray, int]:
    """How many patches fall in each cell in each resample of the clusters, and how many clusters there are.

    Patches are drawn by one multinomial over the cells, which is the bootstrap of single patches exactly.

    Args:
        cells: int (n,), 0 to `number` - 1: the cell of each patch of `ground`.

    Returns:
        float64 (resamples, number).
    """
    if ground.slides is None:
        shares = np.bincount(cells, minlength=number) / len(cells)
        drawn = np.random.default_rng(SEED).multinomial(len(cells), shares, size=resamples)
        return drawn.astype(np.float64), len(cells)
    slides, count = slide_numbers(ground.slides)
    counts = np.bincount(slides * number + cells, minlength=count * number).reshape(count, number)
    return slide_counts(count, resamples) @ counts.astype(np.float64), count


def spread(draws: np.ndarray, clusters: int) -> np.ndarray:
    """Standard error over resamples (resamples, ...), with the share that drawing with replacement loses.

    Resamples in which a figure is undefined (NaN) do not count; NaN where fewer than two are left.
    """
    enough = np.isfinite(draws).sum(axis=0) > 1
    filled = np.where(enough, draws, 0.0)
    lost = np.sqrt(clusters / max(1, clusters - 1))
    return np.asarray(np.where(enough, np.nanstd(filled, axis=0, ddof=1) * lost, np.nan))


def reach_of(clusters: int) -> float:
    """How many standard errors a 95 % interval reaches to either side: Student's t on clusters - 1."""
    return float(student.ppf((1 + LEVEL) / 2, max(1, clusters - 1)))
