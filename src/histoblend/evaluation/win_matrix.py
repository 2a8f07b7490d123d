"""Who wins against whom: pairs of patches counted slide by slide, in a time that hardly grows with the slides.

All patches are put in the order of their scores and cut into blocks. A positive beats the negatives of all earlier
blocks, which one matrix product counts for all pairs of slides at once, and the earlier ones of its own block,
which are counted one by one; blocks are so short that these are few.
"""

from __future__ import annotations

import numpy as np

SHORTEST_BLOCK = 32
PAIRS_AT_ONCE = 1_000_000


def win_matrix(labels: np.ndarray, scores: np.ndarray, slides: np.ndarray, count: int) -> np.ndarray:
    """Wins of the positives of each slide (row) over the negatives of each (column), ties counting half.

    Args:
        labels: 0/1 (n,); `scores`: (n,); `slides`: int (n,), 0 to `count` - 1.

    Returns:
        float64 (count, count), whole and half numbers without rounding.
    """
    positives, negatives = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    positives = positives[np.argsort(scores[positives])]
    negatives = negatives[np.argsort(scores[negatives])]
    above = _merged(positives, negatives, scores)
    wins = _wins_in_order(slides[above], labels[above] == 1, count)
    if not np.isin(scores[positives], scores[negatives]).any():
        return wins
    at_least = _merged(negatives, positives, scores)
    wins += _wins_in_order(slides[at_least], labels[at_least] == 1, count)
    wins /= 2
    return wins


def _merged(first: np.ndarray, second: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows by rising score, of two lists of rows that are; among equal scores the rows of `first` come first."""
    rows = np.concatenate([first, second])
    return np.asarray(rows[np.argsort(scores[rows], kind="stable")])


def _wins_in_order(slides: np.ndarray, positive: np.ndarray, count: int) -> np.ndarray:
    """How often a negative stands before a positive, by the slide of the positive and that of the negative."""
    length = max(SHORTEST_BLOCK, count // 8)
    block = np.arange(len(slides)) // length
    wins = _of_earlier_blocks(slides, positive, block, count)
    _add_within_blocks(wins, slides, positive, block)
    return wins


def _of_earlier_blocks(slides: np.ndarray, positive: np.ndarray, block: np.ndarray, count: int) -> np.ndarray:
    blocks = int(block[-1]) + 1
    cells = block * count + slides
    ours = np.bincount(cells[positive], minlength=blocks * count).reshape(blocks, count)
    others = np.bincount(cells[~positive], minlength=blocks * count).reshape(blocks, count)
    before = np.cumsum(others, axis=0) - others
    return np.asarray(ours.T.astype(np.float64) @ before.astype(np.float64))


def _add_within_blocks(wins: np.ndarray, slides: np.ndarray, positive: np.ndarray, block: np.ndarray) -> None:
    """Add each pair of a block to `wins`, in place."""
    places = np.flatnonzero(positive)
    others = slides[~positive]
    passed = np.cumsum(~positive)
    start = np.searchsorted(block[~positive], block[places])  # the first negative of the positive's block
    sizes = passed[places] - start
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, np.arange(PAIRS_AT_ONCE, int(ends[-1]) + PAIRS_AT_ONCE, PAIRS_AT_ONCE))
    for part in np.split(np.arange(len(places)), np.unique(cuts[cuts < len(places)])):
        size = sizes[part]
        offset = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
        negative = others[np.repeat(start[part], size) + offset]
        np.add.at(wins, (np.repeat(slides[places[part]], size), negative), 1.0)
