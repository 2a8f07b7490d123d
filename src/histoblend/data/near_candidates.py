"""Pairs of perceptual hashes that differ in a few bits, found without comparing all pairs.

Of four bands of 16 bits, one differs in at most one bit where all four differ in at most seven (Manku et al.,
"Detecting near-duplicates for web crawling", 2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoblend.data.perceptual_hash import TURNS, VIEWS, Hashes, Rows

MOST_BITS = 7
BANDS, BAND_BITS = 4, 16
PAIRS_AT_A_TIME = 1 << 22


def candidate_pairs(views: Hashes, hashes: Hashes, within: bool) -> pd.DataFrame:
    """Pairs of a row of `views` (n, 12) and a row of `hashes` (m,) that differ in at most `MOST_BITS` bits.

    Args:
        within: both are of the same patches, and each pair is wanted once.

    Returns:
        first, second, turn (index of `TURNS`), bits; each first, second and turn once, with the fewest bits.
    """
    parts = [_no_candidates()]
    for band in range(BANDS):
        order, starts = _buckets(_band(hashes, band))
        for view in range(VIEWS):
            turn = view if view < len(TURNS) else 0
            queries = views[:, view]
            for first, place in _meetings(_band(queries, band), starts):
                second = order[place]
                bits = np.bitwise_count(queries[first] ^ hashes[second])
                near = (bits <= MOST_BITS) & (queries[first] != 0) & (hashes[second] != 0)
                near &= (first < second) if within else True
                parts.append(_candidate_table(first[near], second[near], turn, bits[near]))
    everything = pd.concat(parts).sort_values("bits", kind="stable")
    return everything.drop_duplicates(["first", "second", "turn"], ignore_index=True)


def _candidate_table(first: Rows, second: Rows, turn: int, bits: NDArray[np.uint8]) -> pd.DataFrame:
    columns = {"first": first, "second": second, "turn": np.full(len(first), turn), "bits": bits}
    return pd.DataFrame(columns, dtype=np.int64)


def _no_candidates() -> pd.DataFrame:
    return _candidate_table(*(np.empty(0, np.intp),) * 2, 0, np.empty(0, np.uint8))


def _band(hashes: Hashes, band: int) -> Rows:
    """Sixteen bits of each hash, as numbers."""
    return ((hashes >> np.uint64(band * BAND_BITS)) & np.uint64(2**BAND_BITS - 1)).astype(np.intp)


def _buckets(keys: Rows) -> tuple[Rows, Rows]:
    """Rows ordered by key, and where in that order each of the 65,536 keys starts (one more at the end)."""
    starts = np.zeros(2**BAND_BITS + 1, dtype=np.intp)
    np.cumsum(np.bincount(keys, minlength=2**BAND_BITS), out=starts[1:])
    return np.argsort(keys, kind="stable"), starts


def _meetings(keys: Rows, starts: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of a query and a place in a bucket whose key differs from the query's in at most one bit, in chunks."""
    for mask in (0, *(1 << bit for bit in range(BAND_BITS))):
        begin, end = starts[keys ^ mask], starts[(keys ^ mask) + 1]
        ends = np.cumsum(end - begin)
        marks = np.arange(PAIRS_AT_A_TIME, ends[-1] if len(ends) else 0, PAIRS_AT_A_TIME)
        cuts = [0, *np.searchsorted(ends, marks), len(keys)]
        for low, high in pairwise(cuts):
            sizes = (end - begin)[low:high]
            first = np.repeat(np.arange(low, high), sizes)
            within = np.arange(len(first)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            yield first, begin[first] + within
