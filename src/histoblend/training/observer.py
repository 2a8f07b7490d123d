"""Who is told how a training goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(*_: object) -> None:
    return


@dataclass(frozen=True)
class Observer:
    """Told about the length (epochs, steps), steps (epoch from 0, step from 1, loss), epochs (history row)."""

    on_start: Callable[[int, int], None] = _ignore
    on_step: Callable[[int, int, float], None] = _ignore
    on_epoch: Callable[[dict[str, float]], None] = _ignore
