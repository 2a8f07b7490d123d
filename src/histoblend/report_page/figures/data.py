"""What the figures are drawn from: plain arrays and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A curve of one experiment or blend.

    Attributes:
        name: what it is called in the legend.
        x: float (points,), 0 to 1, not falling.
        y: float (points,), 0 to 1.
        area: the AUC (or average precision) said beside the name; None where it is not said.
        low: float (places,), lower edge of the band around `y`; None where there is no band.
        high: float (places,), its upper edge.
        grid: float (places,), where the band is known; None where that is at `x`.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    area: float | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    grid: np.ndarray | None = None


@dataclass(frozen=True)
class Estimated:
    """A number with its interval; `low` and `high` are None or NaN where no interval could be had.

    `note` is a word or two behind the name ("blend", "yardstick"); `chosen` sets the row apart.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class Reliability:
    """How often patches of a predicted probability are positive.

    Attributes:
        name: "as predicted", "after temperature scaling" ...
        predicted: float (bins,), mean probability of each bin; NaN where the bin is empty.
        observed: float (bins,), share of positives in it; NaN where it is empty.
        counts: int (bins,), patches in it.
        error: the expected calibration error said beside the name; None where it is not said.
    """

    name: str
    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray
    error: float | None = None


@dataclass(frozen=True)
class RuleWeights:
    """Weights of one blending rule: member -> weight, learnt on all folds and on all but each fold."""

    rule: str
    weights: Mapping[str, float]
    by_fold: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    chosen: bool = False


@dataclass(frozen=True)
class ViewGain:
    """AUC of one fold from one view of each patch, and from all views."""

    name: str
    fold: int
    one_view: float
    all_views: float


@dataclass(frozen=True)
class Cost:
    """What an experiment took and what it reached."""

    name: str
    auc: float
    minutes: float


@dataclass(frozen=True)
class Answered:
    """Something that was submitted: cross-validated AUC with its interval, and both scores; NaN where unknown.

    Attributes:
        apart: made on other data or folds than the rest.
    """

    name: str
    auc: float
    low: float
    high: float
    public: float
    private: float
    apart: bool = False
