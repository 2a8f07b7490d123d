"""Learning rates as pure functions of the configuration and, for `plateau`, of the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from histoblend.config_training import Schedule


def _constant(progress: np.ndarray, schedule: Schedule) -> np.ndarray:
    return np.ones_like(progress)


def _step(progress: np.ndarray, schedule: Schedule) -> np.ndarray:
    passed = sum((progress >= milestone).astype(float) for milestone in schedule.milestones)
    return np.asarray(schedule.factor**passed)


def _cosine(progress: np.ndarray, schedule: Schedule) -> np.ndarray:
    return schedule.final + (1 - schedule.final) * (1 + np.cos(np.pi * progress)) / 2


# One row a shape: share of the highest rate at a progress in [0, 1) after the warm-up. `one_cycle` (Smith &
# Topin 2018) is a long climb and a cosine fall; `plateau` is constant but for `plateau_factor`.
SHAPES: dict[str, Callable[[np.ndarray, Schedule], np.ndarray]] = {
    "constant": _constant,
    "step": _step,
    "plateau": _constant,
    "cosine": _cosine,
    "one_cycle": _cosine,
}


def rate_table(schedule: Schedule, learning_rate: float, steps: int) -> np.ndarray:
    """The learning rate of each of `steps` steps, float32 (steps,), before any plateau."""
    warm_steps, held_steps = round(schedule.climb * steps), round(schedule.hold * steps)
    climbing = (np.arange(warm_steps) + 1) / max(warm_steps, 1)
    rest = max(steps - warm_steps - held_steps, 0)
    held = np.ones(steps - warm_steps - rest)  # a progress of 1: where the shape ends
    shape = SHAPES[schedule.name](np.concatenate([np.arange(rest) / max(rest, 1), held]), schedule)
    return (learning_rate * np.concatenate([climbing, shape])).astype(np.float32)


def ramped(table: np.ndarray, steps: int) -> np.ndarray:
    """`table` with a linear climb over its first `steps`: what a fresh optimizer in mid-training begins with.

    The first steps of Adam are of full size whatever the gradient, since its moments know one batch.
    """
    climb = np.minimum((np.arange(len(table)) + 1) / steps, 1.0)
    return (table * climb).astype(np.float32)


def plateau_factor(schedule: Schedule, aucs: Sequence[float]) -> float:
    """What the rate is multiplied with after epochs that reached these inner-split AUCs."""
    if schedule.name != "plateau":
        return 1.0
    factor, best, waited = 1.0, -np.inf, 0
    for value in aucs:
        if value > best:
            best, waited = value, 0
            continue
        waited += 1
        if waited >= schedule.patience:
            factor, waited = factor * schedule.factor, 0
    return factor
