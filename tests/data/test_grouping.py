from __future__ import annotations

import time

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from histoblend.data.grouping import connect, deal


def test_slides_are_joined_through_identical_patches_also_at_second_hand() -> None:
    slides = pd.Series(["a", "a", "b", "c", "c", "d", "e"])
    hashes = pd.Series(["1", "2", "2", "3", "4", "4", "5"])
    assert list(connect(slides, hashes)) == [0, 0, 0, 1, 1, 1, 2]
    chain = pd.Series(["1", "2", "2", "3", "3", "4", "5"])
    assert list(connect(pd.Series(list("aabbccd")), chain)) == [0, 0, 0, 0, 0, 0, 1]


def test_without_duplicates_groups_are_slides() -> None:
    slides = pd.Series(["x", "y", "x", "z"])
    assert list(connect(slides, pd.Series(list("1234")))) == [0, 1, 0, 2]


def lopsided(seed: int, rows: int = 4000, slides: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Slides of very unequal size and tumour share, as in the real set."""
    generator = np.random.default_rng(seed)
    size = generator.lognormal(0, 0.7, slides)
    groups = pd.factorize(generator.choice(slides, rows, p=size / size.sum()))[0].astype(np.int64)
    share = generator.beta(0.4, 0.6, slides)
    return groups, (generator.random(rows) < share[groups]).astype(np.int64)


def imbalance(folds: np.ndarray, labels: np.ndarray) -> float:
    """The largest distance of a fold's share of a class from a fifth."""
    shares = [np.bincount(folds[labels == label], minlength=5) / (labels == label).sum() for label in (0, 1)]
    return float(np.abs(np.stack(shares) - 0.2).max())


def test_both_classes_are_balanced_better_than_by_scikit_learn() -> None:
    ours, theirs = [], []
    for seed in range(6):
        groups, labels = lopsided(seed)
        ours += [imbalance(deal(groups, labels, [0.2] * 5, draw), labels) for draw in range(3)]
        reference = np.zeros_like(groups)
        for fold, (_, rows) in enumerate(StratifiedGroupKFold(5).split(groups, labels, groups)):
            reference[rows] = fold
        theirs.append(imbalance(reference, labels))
    assert np.mean(ours) < np.mean(theirs)
    assert np.median(ours) < 0.02


def test_unequal_shares_are_met() -> None:
    groups, labels = lopsided(1)
    part = deal(groups, labels, [0.15, 0.85], 0)
    for label in (0, 1):
        assert abs((part[labels == label] == 0).mean() - 0.15) < 0.02


def test_220000_groups_of_one_take_seconds() -> None:
    labels = (np.arange(220_000) % 5 < 2).astype(np.int64)
    start = time.process_time()
    part = deal(np.arange(220_000), labels, [0.2] * 5, 0)
    assert time.process_time() - start < 10
    assert set(np.bincount(part)) == {44_000} and set(np.bincount(part[labels == 1])) == {17_600}
