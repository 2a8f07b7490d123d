"""The feed: training batches as a pure function of (seed, index of the step).

Rows are drawn from an endless chain of permutations, so that at any moment every patch has been seen equally
often, give or take one. A batch's augmentations are seeded once, from (seed, step). So neither the number of
workers nor a resume changes a byte.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.mixing import drawn_mixture, mixed_images, mixed_targets
from histoblend.data.training_rows import TrainingRows
from histoblend.errors import MachineRefusal

ORDER, POSITIVES, NEGATIVES, AUGMENTATION = range(4)  # streams of random numbers that never meet
CLASS_STREAMS = (NEGATIVES, POSITIVES)  # further classes have their own number plus two


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, stream: int, number: int, size: int) -> np.ndarray:
    return np.random.default_rng([seed, stream, number]).permutation(size)


def drawn_positions(seed: int, stream: int, start: int, count: int, size: int) -> np.ndarray:
    """Entries `start` to `start + count` of the endless chain of permutations of ``range(size)``.

    Returns:
        int64 array of shape (count,).
    """
    positions = np.arange(start, start + count)
    numbers = positions // size
    drawn = np.empty(count, np.int64)
    for number in np.unique(numbers):
        chosen = numbers == number
        drawn[chosen] = _permutation(seed, stream, int(number), size)[positions[chosen] % size]
    return drawn


@dataclass(frozen=True)
class Sampling:
    """How rows become batches."""

    seed: int
    batch_size: int
    samples_per_epoch: int | None = None
    balanced: bool = False
    mixup: float = 0.0

    def steps_per_epoch(self, patches: int) -> int:
        """Steps of one epoch over `patches` patches; the last batch is topped up, never dropped."""
        return -(-(self.samples_per_epoch or patches) // self.batch_size)


def batch_positions(source: TrainingRows, sampling: Sampling, step: int) -> np.ndarray:
    """Positions (int64, one per patch of the batch) drawn for the `step`-th step of the whole training."""
    size, classes = sampling.batch_size, source.classes
    if not sampling.balanced:
        return drawn_positions(sampling.seed, ORDER, step * size, size, len(source.labels))
    parts = []
    for label in reversed(range(classes)):
        # Places of the whole training go to the classes in turn, so each has its share of any batch size.
        first, last = (-((label - size * number) // classes) for number in (step, step + 1))
        stream = (*CLASS_STREAMS, *range(4, classes + 2))[label]
        members = np.flatnonzero(source.labels == label)
        parts.append(members[drawn_positions(sampling.seed, stream, first, last - first, len(members))])
    return np.concatenate(parts)


class Batch(NamedTuple):
    """What a step learns from.

    Attributes:
        images: uint8 (batch, h, w, 3).
        targets: float32 (batch, outputs), in [0, 1].
        weights: of each patch in the loss, float32 (batch,); None where all weigh one.
    """

    images: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None


@dataclass
class TrainingFeed:
    """Batches of one task by step number, prepared ahead by the workers."""

    source: TrainingRows
    sampling: Sampling
    transforms: Sequence[dict[str, Any]]
    workers: FeedWorkers
    _ahead: dict[int, tuple[np.ndarray, Future[np.ndarray]]] = field(default_factory=dict)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.sampling.steps_per_epoch(len(self.source.rows))

    def batch(self, step: int) -> Batch:
        """The `step`-th batch of the training.

        Raises:
            MachineRefusal: a worker process died.
        """
        last = step + 2 * self.workers.count
        for number in range(step, last + 1):
            if number not in self._ahead:
                self._ahead[number] = self._submit(number)
        for number in [n for n in self._ahead if n < step or n > last]:
            del self._ahead[number]
        positions, future = self._ahead.pop(step)
        try:
            images = self.workers.result(future)
        except BrokenProcessPool as error:
            raise _worker_died() from error
        targets, weights = self.source.targets_at(positions), self.source.weights_at(positions)
        return self._blended(step, Batch(images, targets, weights))

    def _blended(self, step: int, batch: Batch) -> Batch:
        sampling = self.sampling
        if not sampling.mixup:
            return batch
        mixture = drawn_mixture(sampling.mixup, sampling.seed, step, sampling.batch_size)
        blended = mixed_targets(batch.targets, batch.weights, mixture)
        return Batch(mixed_images(batch.images, mixture), *blended)

    def _submit(self, step: int) -> tuple[np.ndarray, Future[np.ndarray]]:
        """The positions drawn for the `step`-th batch, and its patches to come."""
        positions = batch_positions(self.source, self.sampling, step)
        rows = self.source.rows[positions]
        seed = int(np.random.SeedSequence([self.sampling.seed, AUGMENTATION, step]).generate_state(1)[0])
        transforms = json.dumps(list(self.transforms))
        try:
            return positions, self.workers.submit(self.source.paths, rows, transforms, seed)
        except BrokenProcessPool as error:
            raise _worker_died() from error


def _worker_died() -> MachineRefusal:
    return MachineRefusal(
        "A process that augments patches died.",
        "enough memory for each worker (about 400 MiB)",
        "run the same command again, with fewer workers: --set execution.workers=1 (or 0).",
    )
