"""Candidates: none is missed, and not all pairs are compared."""

from __future__ import annotations

import time

import numpy as np

from histoblend.data.near_candidates import candidate_pairs


def test_candidates_are_all_pairs_within_seven_bits() -> None:
    """Against the comparison of all with all, which banding saves."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(1, 2**63, 400, dtype=np.uint64)
    for row in range(0, 200, 2):  # neighbours at 0 to 9 bits
        flipped = generator.choice(64, row // 2 % 10, replace=False)
        hashes[row + 1] = hashes[row] ^ np.bitwise_or.reduce(
            np.uint64(1) << flipped.astype(np.uint64), initial=0
        )
    first, second = np.triu_indices(400, 1)
    near = np.bitwise_count(hashes[first] ^ hashes[second]) <= 7
    found = candidate_pairs(np.repeat(hashes[:, None], 12, axis=1), hashes, within=True)
    plain = found[found["turn"] == 0]
    assert set(zip(plain["first"], plain["second"], strict=True)) == set(
        zip(first[near], second[near], strict=True)
    )


def test_searching_does_not_compare_all_with_all() -> None:
    """Ten thousand patches are fifty million pairs and twelve views; banding meets a thousandth of them."""
    views = np.random.default_rng(0).integers(1, 2**63, (10_000, 12), dtype=np.uint64)
    start = time.perf_counter()
    candidate_pairs(views, views[:, 0], within=True)
    assert time.perf_counter() - start < 10
