"""The arithmetic of the learning-rate range test (Smith 2017, arXiv:1506.01186): rates, smoothing, suggestion. Pure.

The learning rate rises exponentially over a few hundred steps. Too low, the loss stands still; too high, it climbs.
Two rules read a rate off the curve: where the loss falls fastest per decade, and a tenth of where it is lowest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMOOTHING = 0.9  # decay of the moving average over steps: about ten steps
DIVERGED = 4.0  # times the lowest smoothed loss: what lies beyond tells nothing more
STEADY = 10  # steps before a rise counts: the moving average of fewer is a few batches' luck
NOISE = 0.02  # share of the loss by which it must have fallen


@dataclass(frozen=True)
class Suggestion:
    """Learning rates read off the curve."""

    steepest: float
    """Where the smoothed loss falls fastest per decade."""
    lowest: float
    """Where the smoothed loss is lowest: training at this rate would be at the edge."""

    @property
    def tenth(self) -> float:
        """A tenth of `lowest`: the careful choice."""
        return self.lowest / 10


@dataclass(frozen=True)
class RangeCurve:
    """What a range test measured: the loss of each step and the rate it was taken at, float64 (steps,)."""

    title: str
    rates: np.ndarray
    losses: list[float]

    @property
    def suggestion(self) -> Suggestion | None:
        """Rates read off the curve; None where the loss never fell."""
        return suggest(self.rates, self.losses)


def rising_rates(first: float, last: float, steps: int) -> np.ndarray:
    """Learning rates from `first` to `last` in equal ratios: float64 (steps,)."""
    return np.geomspace(first, last, steps)


def moving_average(losses: Sequence[float] | np.ndarray, decay: float = SMOOTHING) -> np.ndarray:
    """Exponential moving average corrected for its start at zero (as in Adam): float64, as long as `losses`."""
    average, result = 0.0, []
    for step, loss in enumerate(losses, 1):
        average = decay * average + (1 - decay) * loss
        result.append(average / (1 - decay**step))
    return np.array(result)


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the last of `losses` is no number, or their moving average is several times its lowest."""
    if not np.isfinite(losses[-1]):
        return True
    if len(losses) <= STEADY:
        return False
    average = moving_average(losses)
    return bool(average[-1] > DIVERGED * average[STEADY - 1 :].min())


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """Mean of the moving averages forwards and backwards, each corrected: unlike one alone, it does not lag.

    A lag of ten steps would move every rate read off the curve upwards. Losses beyond divergence are cut there first,
    lest the backward average carries them into the curve.
    """
    values = np.asarray(losses, float)
    values = values[np.isfinite(values)]
    values = np.minimum(values, DIVERGED * moving_average(values).min()) if len(values) else values
    return np.asarray((moving_average(values) + moving_average(values[::-1])[::-1]) / 2)


def suggest(rates: np.ndarray, losses: Sequence[float]) -> Suggestion | None:
    """Rates read off the curve of `losses` at `rates`; None where the loss never fell.

    Args:
        rates: float (n,), rising by equal ratios; losses: as many or fewer, the last of which may not be finite.
    """
    curve = smoothed(losses)
    if len(curve) <= STEADY:
        return None
    lowest = int(curve.argmin())
    if lowest < 2 or curve[lowest] > (1 - NOISE) * curve[:STEADY].mean():
        return None
    slope = np.gradient(curve, np.log10(rates[: len(curve)]))
    return Suggestion(float(rates[int(slope[: lowest + 1].argmin())]), float(rates[lowest]))
