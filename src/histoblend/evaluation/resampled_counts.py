"""Counts of patches in cells when slides (or, where none is known, patches) are drawn anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histoblend.evaluation.cautions import about_clusters, about_missing, joined
from histoblend.evaluation.cluster_interval import freedom, reach_of, spread
from histoblend.evaluation.slide_bootstrap import SEED, Clusters, slide_counts, slide_numbers
from histoblend.evaluation.uncertainty import Ground

RESAMPLES = 1000


def drawn_clusters(ground: Ground, resamples: int = RESAMPLES) -> Clusters | None:
    """The slides of `ground` and how often each is drawn; None where no slide is known."""
    if ground.slides is None:
        return None
    numbers, count = slide_numbers(ground.slides)
    return Clusters(numbers, count, slide_counts(count, resamples))


def resampled_counts(
    cells: np.ndarray, number: int, clusters: Clusters | None, resamples: int = RESAMPLES
) -> np.ndarray:
    """How many patches fall in each cell in each resample of the clusters: float64 (resamples, number).

    Patches are drawn by one multinomial over the cells, which is the bootstrap of single patches exactly.

    Args:
        cells: int (n,), 0 to `number` - 1: the cell of each patch.
        clusters: None where patches are drawn one by one, `resamples` times.
    """
    if clusters is None:
        shares = np.bincount(cells, minlength=number) / len(cells)
        drawn = np.random.default_rng(SEED).multinomial(len(cells), shares, size=resamples)
        return drawn.astype(np.float64)
    return np.asarray(clusters.drawn @ cluster_counts(cells, number, clusters).astype(np.float64))


def cluster_counts(cells: np.ndarray, number: int, clusters: Clusters) -> np.ndarray:
    """How many patches of each cluster fall in each cell: int (clusters, number)."""
    places = clusters.numbers * number + cells
    return np.bincount(places, minlength=clusters.count * number).reshape(clusters.count, number)


@dataclass(frozen=True)
class Reach:
    """How far an interval reaches to either side, and what is to be said of it.

    Attributes:
        error: standard error of what was drawn (resamples, ...), float64 (...).
        half: half the width of the interval, likewise.
    """

    error: np.ndarray
    half: np.ndarray
    warning: str | None


def reach_over(ground: Ground, draws: np.ndarray, clusters: Clusters | None, influence: np.ndarray) -> Reach:
    """The reach from resamples `draws` (resamples, ...), undefined ones NaN, by the rule of the interval of the AUC.

    Args:
        influence: of each cluster (clusters,) on what was drawn; of no use where patches are independent.
    """
    if clusters is None:
        error = spread(draws, len(ground.labels))
        return Reach(error, reach_of(None) * error, about_clusters(ground.clusters_are, None, None))
    error = spread(draws, clusters.count)
    cautions = [about_clusters(ground.clusters_are, clusters.count, influence)]
    cautions += [about_missing(draws, "resamples")] if draws.ndim == 1 else []
    return Reach(error, reach_of(freedom(influence)) * error, joined(cautions))
