"""What scores are judged on, and what is said of them: an interval, an estimate, a difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

CLUSTERS_UNDER = {"map": "slides", "stain-clusters": "pseudo-slides", "none": "patches"}


@dataclass(frozen=True)
class Ground:
    """What scores are judged on: the rows of an out-of-fold table."""

    labels: np.ndarray
    """int (n,), 0 to classes - 1."""
    folds: np.ndarray
    """int (n,)."""
    slides: np.ndarray | None
    """(n,), any hashable; None where no patch's slide is known."""
    clusters_are: str
    """``slides``, ``pseudo-slides`` or ``patches``."""


@dataclass(frozen=True)
class Interval:
    """A range that holds the value sought with probability `level`, and how it was found."""

    low: float
    """NaN, as `high`, where no interval can be had; the warning says why."""
    high: float
    standard_error: float
    """On the scale of the AUC; the limits of an AUC are set on that of its logit, so they lie askew around it."""
    level: float
    method: str
    clusters: int | None
    """Slides or pseudo-slides resampled; None for DeLong."""
    warning: str | None


@dataclass(frozen=True)
class Estimate:
    """The AUC pooled on ranks within fold (`auc.pooled_auc`), and its interval."""

    auc: float
    interval: Interval


@dataclass(frozen=True)
class Difference:
    """By how much a member's AUC exceeds another's on the same patches."""

    gain: float
    interval: Interval
    """Its `standard_error` is that of the paired difference."""
    p_value: float
    """Two-sided, from the distribution of the interval. 1 where both predict alike; NaN where none can be had."""


def ground_of(folds: pd.DataFrame, policy: str) -> Ground:
    """The ground of a split (id, label, slide, fold) made under the fold policy map, stain-clusters or none.

    Under ``none`` the column slide holds the id of the patch: no slide is known.
    """
    slides = None if policy == "none" else folds["slide"].to_numpy(dtype=object)
    labels, numbers = folds["label"].to_numpy(np.int64), folds["fold"].to_numpy(np.int64)
    return Ground(labels, numbers, slides, CLUSTERS_UNDER[policy])
