"""What has to be said of an interval: of few or unequal clusters, of pseudo-slides, of patches taken as independent."""

from __future__ import annotations

import numpy as np

from histoblend.evaluation.cluster_interval import (
    ENOUGH_CLUSTERS,
    FEWEST_CLUSTERS,
    FEWEST_HOLDING_A_CLASS,
    effective_clusters,
)
from histoblend.evaluation.slide_bootstrap import Clusters

INDEPENDENT = (
    "Slides are unknown, so patches count as independent. Patches of one slide are not: the interval is too short, "
    "how much so cannot be said."
)
STAND_IN = "Clusters of stain stand in for slides; where they cut through slides the interval is too short."
FEW_EFFECTIVE = 15
OFTEN_MISSING = 0.01


def refusal(labels: np.ndarray, clusters: Clusters | None, clusters_are: str) -> str | None:
    """Why no interval can be had, if so: too few clusters, or a class in too few of them."""
    counts = np.unique(labels, return_counts=True)[1]
    if clusters is None:
        return (
            "A class has a single patch, which says nothing of how they vary." if counts.min() < 2 else None
        )
    if clusters.count < FEWEST_CLUSTERS:
        return f"{clusters.count} {clusters_are} only: below {FEWEST_CLUSTERS} no interval is given."
    holding = [len(np.unique(clusters.numbers[labels == label])) for label in np.unique(labels)]
    if min(holding) < FEWEST_HOLDING_A_CLASS:
        label = np.unique(labels)[int(np.argmin(holding))]
        return (
            f"All patches of class {label} lie in {min(holding)} of {clusters.count} {clusters_are}: with fewer than "
            f"{FEWEST_HOLDING_A_CLASS} nothing says how much {clusters_are} differ, and no interval is given."
        )
    return None


def about_clusters(clusters_are: str, count: int | None, influence: np.ndarray | None) -> str | None:
    """Few clusters, or few that decide; pseudo-slides; patches. None where nothing is to be said."""
    if count is None or influence is None:
        return INDEPENDENT
    said = [STAND_IN] if clusters_are == "pseudo-slides" else []
    deciding = effective_clusters(influence)
    if count < ENOUGH_CLUSTERS:
        said.append(
            f"{count} {clusters_are} only: below {ENOUGH_CLUSTERS} the interval is itself uncertain and may be too "
            "short; take differences near its limits as undecided."
        )
    elif 0 < deciding < FEW_EFFECTIVE / 3:
        said.append(
            f"Of {count} {clusters_are} a few decide (as if there were {3 * deciding:.0f} alike): the interval is "
            "itself uncertain and may be too short."
        )
    return " ".join(said) or None


def about_missing(draws: np.ndarray, which: str) -> str | None:
    """Draws left out because a class was missing from them, where they are more than one in a hundred."""
    missing = int(np.isnan(draws).sum())
    if missing <= OFTEN_MISSING * len(draws):
        return None
    return f"A class was missing from {missing:,} of {len(draws):,} {which}; they are left out."


def joined(cautions: list[str | None]) -> str | None:
    """All that is to be said in one text; None where nothing is."""
    return " ".join(caution for caution in cautions if caution) or None
