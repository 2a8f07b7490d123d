"""The training feed as Keras takes it, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from histoblend.data.batches import TrainingFeed
from histoblend.errors import Refusal


class KerasFeed(keras.utils.PyDataset):
    """Batches by number from `first_step` on, without end.

    A dataset indexed by step rather than a generator: Keras reads a first batch or two to learn their shapes,
    and a generator would have lost them.
    """

    def __init__(self, feed: TrainingFeed, first_step: int, class_weights: np.ndarray | None) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.feed, self.first_step, self.class_weights = feed, first_step, class_weights
        self._refusal: Refusal | None = None

    @property
    def num_batches(self) -> None:
        """None: the feed never ends."""
        return

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        try:
            images, targets, weights = self.feed.batch(self.first_step + index)
        except Refusal as refusal:
            self._refusal = refusal
            raise
        if self.class_weights is not None:
            targets, of_classes = class_weighted(targets, self.class_weights)
            weights = of_classes if weights is None else weights * of_classes
        return (images, targets) if weights is None else (images, targets, weights)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """What the feed refused inside the block; the backend would wrap it in an error of its own."""
        try:
            yield
        except Exception as error:
            if self._refusal is not None:
                raise self._refusal from error
            raise


def class_weighted(targets: np.ndarray, class_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights that turn a plain cross-entropy into the class-weighted one.

    With weights w and a target t over classes, the sum of -w t log p is W times the cross-entropy of the target
    w t / W, where W is the sum of w t. A target that is all one class stays what it is, and W is that class's weight.

    Args:
        targets: float32 (n, outputs), in [0, 1].
        class_weights: float32 (classes,).

    Returns:
        Targets float32 (n, outputs) and weights float32 (n,).
    """
    by_class = np.hstack([1 - targets, targets]) if targets.shape[1] == 1 else targets
    weighted = by_class * class_weights
    weights = weighted.sum(axis=1)
    return (weighted / weights[:, None])[:, -targets.shape[1] :], weights


def balanced_class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights float32 (classes,), inverse to each class's frequency, one on average over the patches."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(len(labels) / (classes * counts), np.float32)
