"""The feed: batches are a pure function of (seed, step)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from histoblend.data.augmentations import resolve_augmentation
from histoblend.data.batches import Sampling, TrainingFeed, batch_positions
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.training_rows import TrainingRows, targets
from histoblend.errors import MachineRefusal

PATCHES = 23
LABELS = np.array([1] * 8 + [0] * 15, np.int8)
ROWS = TrainingRows("", np.arange(PATCHES), LABELS)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> TrainingRows:
    """Rows 2, 4, 6 ... of a pack; the first pixel of a patch tells its row."""
    images = np.random.default_rng(0).integers(0, 256, (2 * PATCHES + 2, 96, 96, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(len(images))
    path = tmp_path_factory.mktemp("pack") / "train.npy"
    np.save(path, images)
    return TrainingRows(str(path), 2 * np.arange(1, PATCHES + 1), LABELS)


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[int, FeedWorkers]]:
    pools = {count: FeedWorkers(count) for count in (0, 1, 2)}
    yield pools
    for pool in pools.values():
        pool.close()


def feed(source: TrainingRows, pool: FeedWorkers, preset: str = "heavy", **sampling) -> TrainingFeed:
    settings = {"seed": 7, "batch_size": 5} | sampling
    return TrainingFeed(source, Sampling(**settings), resolve_augmentation(preset), pool)


def test_the_number_of_workers_changes_no_byte(source: TrainingRows, workers: dict[int, FeedWorkers]):
    feeds = [feed(source, workers[count]) for count in (0, 1, 2)]
    for step in range(7):
        (images, labels, weights), *others = [one.batch(step) for one in feeds]
        assert images.shape == (5, 96, 96, 3) and images.dtype == np.uint8
        assert labels.shape == (5, 1) and labels.dtype == np.float32
        assert weights is None
        for other_images, other_labels, _ in others:
            np.testing.assert_array_equal(other_images, images)
            np.testing.assert_array_equal(other_labels, labels)


@pytest.mark.parametrize("count", [0, 2])
def test_neither_order_of_asking_nor_a_jump_changes_a_byte(
    source: TrainingRows, workers: dict[int, FeedWorkers], count: int
):
    in_order = feed(source, workers[0])
    batches = {step: in_order.batch(step)[0] for step in range(12)}
    jumping = feed(source, workers[count])
    for step in (9, 10, 0, 11, 3, 3, 4):  # 9 first: a resume
        np.testing.assert_array_equal(jumping.batch(step)[0], batches[step])


def test_labels_belong_to_their_patches(source: TrainingRows, workers: dict[int, FeedWorkers]):
    plain = feed(source, workers[0], preset="none")
    for step in range(9):
        images, labels, _ = plain.batch(step)
        positions = images[:, 0, 0, 0] // 2 - 1
        np.testing.assert_array_equal(labels[:, 0], LABELS[positions])


def test_every_patch_is_seen_equally_often_give_or_take_one_at_any_moment():
    seen = Counter(dict.fromkeys(range(PATCHES), 0))
    for step in range(40):
        seen.update(batch_positions(ROWS, Sampling(3, 5), step).tolist())
        assert max(seen.values()) - min(seen.values()) <= 1


def test_the_last_batch_of_an_epoch_is_topped_up_and_nothing_is_dropped():
    sampling = Sampling(3, 5)
    steps = sampling.steps_per_epoch(PATCHES)
    assert steps == 5  # 23 patches in batches of 5
    drawn = [batch_positions(ROWS, sampling, step) for step in range(steps)]
    assert {len(batch) for batch in drawn} == {5}
    assert set(np.concatenate(drawn)) == set(range(PATCHES))


def test_short_epochs_go_through_all_patches_in_turn():
    sampling = Sampling(3, 5, samples_per_epoch=10)
    assert sampling.steps_per_epoch(PATCHES) == 2
    epochs = [np.concatenate([batch_positions(ROWS, sampling, 2 * e + s) for s in (0, 1)]) for e in range(5)]
    assert len(set(np.concatenate(epochs[:2]))) == 20
    assert set(np.concatenate(epochs)) == set(range(PATCHES))


@pytest.mark.parametrize("size", [6, 5])
def test_balanced_batches_are_half_positive_and_use_all_of_both_classes(size: int):
    sampling = Sampling(3, size, balanced=True)
    seen: Counter[int] = Counter(dict.fromkeys(range(PATCHES), 0))
    for step in range(30):
        positions = batch_positions(ROWS, sampling, step)
        assert len(positions) == size and abs(LABELS[positions].sum() - size / 2) <= 0.5
        seen.update(positions.tolist())
        for label in (0, 1):
            counts = [seen[position] for position in np.flatnonzero(label == LABELS)]
            assert max(counts) - min(counts) <= 1


def test_balanced_batches_of_ten_classes_have_each_equally_often():
    """Also where the batch does not divide by the classes: over four steps of five, two of each."""
    labels = np.repeat(np.arange(10), np.arange(2, 12))
    rows = TrainingRows("", np.arange(len(labels)), labels, 10)
    drawn = np.concatenate([batch_positions(rows, Sampling(0, 5, balanced=True), step) for step in range(4)])
    assert np.bincount(labels[drawn]).tolist() == [2] * 10


def test_more_than_two_classes_are_learned_one_hot():
    assert targets(np.array([0, 1, 1]), 2).tolist() == [[0], [1], [1]]
    assert targets(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_epochs_differ_in_order_and_in_augmentation(source: TrainingRows, workers: dict[int, FeedWorkers]):
    orders = [np.concatenate([batch_positions(ROWS, Sampling(3, 23), e)]) for e in range(2)]
    assert sorted(orders[0]) == sorted(orders[1])
    assert not np.array_equal(*orders)
    one_patch = TrainingRows(source.images_path, source.rows[:1], LABELS[:1])
    repeated = feed(one_patch, workers[0])
    assert not np.array_equal(repeated.batch(0)[0], repeated.batch(1)[0])


def test_other_seeds_draw_otherwise(source: TrainingRows, workers: dict[int, FeedWorkers]):
    ours, theirs = (feed(source, workers[0], seed=seed).batch(0)[0] for seed in (7, 8))
    assert not np.array_equal(ours, theirs)
    assert not np.array_equal(*(batch_positions(ROWS, Sampling(seed, 23), 0) for seed in (7, 8)))


def test_patches_of_one_batch_are_augmented_each_by_its_own_draw(
    source: TrainingRows, workers: dict[int, FeedWorkers]
):
    same = TrainingRows(source.images_path, np.repeat(source.rows[:1], 8), np.ones(8, np.int8))
    images, *_ = feed(same, workers[0], batch_size=8).batch(0)
    assert len({image.tobytes() for image in images}) > 4


def loaded(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in sys.modules]


def test_workers_load_neither_tensorflow_nor_keras():
    """What a spawned worker imports: this package's feed, and what unpickling its work brings along."""
    code = (
        "import sys; from histoblend.data.feed_workers import FeedWorkers, augmented_patches, _start_worker\n"
        "_start_worker()\n"
        "print(sorted({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def test_a_worker_that_has_augmented_holds_no_tensorflow(
    source: TrainingRows, workers: dict[int, FeedWorkers]
):
    feed(source, workers[1]).batch(0)
    heavy = workers[1]._pool.submit(_heavy_modules).result()
    assert heavy == []


def _heavy_modules() -> list[str]:
    return loaded(("tensorflow", "keras", "torch", "jax"))


def test_a_killed_worker_stops_with_a_remedy(source: TrainingRows):
    pool = FeedWorkers(1)
    try:
        running = feed(source, pool)
        running.batch(0)
        os.kill(next(iter(pool._pool._processes)), signal.SIGKILL)
        with pytest.raises(MachineRefusal, match=r"died(.|\n)*execution.workers"):
            for step in range(1, 50):
                running.batch(step)
                time.sleep(0.05)
    finally:
        pool.close()


def test_an_unreadable_pack_is_told_by_the_worker(tmp_path: Path, workers: dict[int, FeedWorkers]):
    gone = TrainingRows(str(tmp_path / "gone.npy"), np.arange(4), np.array([0, 1, 0, 1], np.int8))
    with pytest.raises(FileNotFoundError, match=r"gone\.npy"):
        feed(gone, workers[1], batch_size=2).batch(0)
