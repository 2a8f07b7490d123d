"""Which epoch is kept and when training stops: pure functions of the inner-split AUCs so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def best_epoch(aucs: Sequence[float]) -> int:
    """The first epoch (from 0) with the highest AUC."""
    return int(np.argmax(np.asarray(aucs)))


def is_new_best(aucs: Sequence[float]) -> bool:
    """Whether the last epoch is better than all before it."""
    return best_epoch(aucs) == len(aucs) - 1


def should_stop(aucs: Sequence[float], patience: int | None) -> bool:
    """Whether `patience` epochs in a row brought nothing better."""
    return patience is not None and len(aucs) > 0 and len(aucs) - 1 - best_epoch(aucs) >= patience
