"""The feed: training batches as a pure function of (seed, index of the step).

Rows are drawn from an endless chain of permutations, so that at any moment every patch has been seen equally
often, give or take one. A batch's augmentations are seeded once, from (seed, step). So neither the number of
workers nor a resume changes a byte.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from histoblend.data.augmentations import Augmenter, build_augmenter
from histoblend.data.mixing import Mixture, drawn_mixture, mixed_images, mixed_targets
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
class TaughtPatches:
    """What is drawn from beside the labelled patches: the last of `TrainingRows.rows`.

    Args:
        images_path: uint8 ``.npy`` file of the same shape but for the number of patches.
        targets: float32 (m, outputs), in [0, 1].
        weight: of each such patch in the loss; a labelled one weighs 1.
    """

    images_path: str
    targets: np.ndarray
    weight: float = 1.0


@dataclass(frozen=True)
class TrainingRows:
    """What is drawn from: rows of the pack with their labels.

    Args:
        images_path: the pack's uint8 ``.npy`` file, shape (patches, h, w, 3).
        rows: int64 (n,), rows of that file; with `taught` the last of them count on into its file.
        labels: integers (n,), 0 to classes - 1; of taught patches their most probable class.
        classes: number of classes.
        taught: patches of another file whose targets are given by models; None for none.
    """

    images_path: str
    rows: np.ndarray
    labels: np.ndarray
    classes: int = 2
    taught: TaughtPatches | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that `rows` count through."""
        return (self.images_path,) if self.taught is None else (self.images_path, self.taught.images_path)

    def targets_at(self, positions: np.ndarray) -> np.ndarray:
        """`targets` float32 (n, outputs) of the patches at these positions of `rows`."""
        given = targets(self.labels[positions], self.classes)
        if self.taught is not None:
            soft = positions - self._first_taught
            given[soft >= 0] = self.taught.targets[soft[soft >= 0]]
        return given

    def weights_at(self, positions: np.ndarray) -> np.ndarray | None:
        """Weight in the loss, float32 (n,), of the patches at these positions; None where all weigh one."""
        if self.taught is None or self.taught.weight == 1.0:
            return None
        return np.where(positions < self._first_taught, 1.0, self.taught.weight).astype(np.float32)

    @property
    def _first_taught(self) -> int:
        return len(self.rows) - (0 if self.taught is None else len(self.taught.targets))


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


def targets(labels: np.ndarray, classes: int) -> np.ndarray:
    """What a network learns, float32: labels 0 and 1 as (n, 1), more classes one-hot as (n, classes)."""
    if classes == 2:
        return labels.astype(np.float32)[:, None]
    return np.eye(classes, dtype=np.float32)[labels]


@functools.lru_cache(maxsize=4)
def _opened(images_path: str) -> np.ndarray:
    images: np.ndarray = np.load(images_path, mmap_mode="r")
    return images


@functools.lru_cache(maxsize=8)
def _augmenter(transforms: str, side: int) -> Augmenter:
    return build_augmenter(json.loads(transforms), side // 3)


def _read(paths: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
    """Patches uint8 (len(rows), h, w, 3); rows past the end of a file count on into the next."""
    if len(paths) == 1:
        return np.asarray(_opened(paths[0])[rows])
    patches = np.empty((len(rows), *_opened(paths[0]).shape[1:]), np.uint8)
    start = 0
    for images in map(_opened, paths):
        inside = (rows >= start) & (rows < start + len(images))
        patches[inside] = images[rows[inside] - start]
        start += len(images)
    return patches


def augmented_patches(paths: tuple[str, ...], rows: np.ndarray, transforms: str, seed: int) -> np.ndarray:
    """Read `rows` of the pack and augment them; runs here or in a worker, with the same bytes.

    Args:
        paths: the files that `rows` count through, one after the other.
        transforms: the resolved list of transforms as JSON.

    Returns:
        uint8 array of shape (len(rows), h, w, 3).
    """
    images = _read(paths, rows)
    return _augmenter(transforms, images.shape[1]).augment_batch(images, seed)


POLL_SECONDS = 2.0  # between two looks at whether the workers still live, while a batch is waited for


def _start_worker() -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent tidies up
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """A run that is killed outright cannot stop its workers; they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class FeedWorkers:
    """Processes that augment; spawned, since a fork after TensorFlow has started may hang.

    With ``count`` 0 the work is done by the caller.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        if count:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker)

    def submit(self, *arguments: Any) -> Future[np.ndarray]:
        """Start `augmented_patches` with these arguments."""
        if self._pool is not None:
            return self._pool.submit(augmented_patches, *arguments)
        future: Future[np.ndarray] = Future()
        future.set_result(augmented_patches(*arguments))
        return future

    def result(self, future: Future[np.ndarray]) -> np.ndarray:
        """What `submit` started, waited for.

        Raises:
            BrokenProcessPool: a process died.
        """
        while True:
            try:
                return future.result(POLL_SECONDS)
            except TimeoutError:
                self._check_alive()

    def _check_alive(self) -> None:
        """The executor misses a process killed while it was sending: it reads on, for ever, what never comes."""
        if self._pool is None:
            return
        processes = list((self._pool._processes or {}).values())
        if all(process.is_alive() for process in processes):
            return
        for process in processes:
            process.kill()
        self._pool._result_queue._writer.close()  # type: ignore[attr-defined]  # the last one: reading ends
        raise BrokenProcessPool("a process died")

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class TrainingFeed:
    """Batches of one task by step number, prepared ahead by the workers."""

    source: TrainingRows
    sampling: Sampling
    transforms: Sequence[dict[str, Any]]
    workers: FeedWorkers
    _ahead: dict[int, Future[np.ndarray]] = field(default_factory=dict)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.sampling.steps_per_epoch(len(self.source.rows))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 (batch, h, w, 3) and `targets` of the `step`-th step of the training.

        Raises:
            MachineRefusal: a worker process died.
        """
        last = step + 2 * self.workers.count
        for number in range(step, last + 1):
            if number not in self._ahead:
                self._ahead[number] = self._submit(number)
        for number in [n for n in self._ahead if n < step or n > last]:
            del self._ahead[number]
        try:
            images = self.workers.result(self._ahead.pop(step))
        except BrokenProcessPool as error:
            raise _worker_died() from error
        if mixture := self._mixture(step):
            images = mixed_images(images, mixture)
        return images, self._learned(step)[0]

    def weights(self, step: int) -> np.ndarray | None:
        """Weight in the loss, float32 (batch,), of each patch of that batch; None where all weigh one."""
        return self._learned(step)[1]

    def _learned(self, step: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Targets and weights of the `step`-th batch."""
        positions = batch_positions(self.source, self.sampling, step)
        targets, weights = self.source.targets_at(positions), self.source.weights_at(positions)
        mixture = self._mixture(step)
        return mixed_targets(targets, weights, mixture) if mixture else (targets, weights)

    def _mixture(self, step: int) -> Mixture | None:
        sampling = self.sampling
        if not sampling.mixup:
            return None
        return drawn_mixture(sampling.mixup, sampling.seed, step, sampling.batch_size)

    def _submit(self, step: int) -> Future[np.ndarray]:
        rows = self.source.rows[batch_positions(self.source, self.sampling, step)]
        seed = int(np.random.SeedSequence([self.sampling.seed, AUGMENTATION, step]).generate_state(1)[0])
        try:
            return self.workers.submit(self.source.paths, rows, json.dumps(list(self.transforms)), seed)
        except BrokenProcessPool as error:
            raise _worker_died() from error


def _worker_died() -> MachineRefusal:
    return MachineRefusal(
        "A process that augments patches died.",
        "enough memory for each worker (about 400 MiB)",
        "run the same command again, with fewer workers: --set execution.workers=1 (or 0).",
    )
