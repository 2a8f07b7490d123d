"""What augments the patches of the feed: processes beside the training, or the caller itself."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2
import numpy as np

from histoblend.data.augmentations import Augmenter, build_augmenter


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
