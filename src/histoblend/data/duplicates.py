"""Sets of copies: near duplicates joined to groups, and pixels that two parts share. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

MOST_COPIES = 50  # in a group before its weak links are looked at; in hcd-mini there is not one pair

# 60 copies of one patch of hcd-mini, turned, brightened, noisy, blurred, shrunk or JPEG of quality 10 to 95: in each of
# 23 such sets links of .94 hold all 60 together. Look-alikes: drawn discs at 32 pixels reach .937; of scikit-learn's
# digits, at 32 pixels too, 125 form one chain at .8, and at .94 no more than 3 (at 16 pixels 18).
STRICT_CORRELATION = 0.94


@dataclass(frozen=True)
class NearGroups:
    """Which patches are near duplicates of each other.

    Attributes:
        number: int64 (n,), one number for all near duplicates, 0, 1, ... in the order of first appearance.
        parted: bool (n,), patches that weak links alone held in a crowd, taken apart here.
    """

    number: NDArray[np.int64]
    parted: NDArray[np.bool_]


def near_groups(count: int, pairs: pd.DataFrame) -> NearGroups:
    """Groups of `count` distinct patches: those of a pair share one, also through others; the rest stand alone.

    Drawings and digits resemble each other in long chains without being copies, so a group of more than
    `MOST_COPIES` is held together by its strict links only. Copies hold by these, however many there are: a set
    augmented before it was published stays whole.

    Args:
        pairs: first, second (0 to count - 1), correlation (of the detail, 0 to 1). Exact copies must be left out
            or count as one, for a crowd is one of distinct pictures.
    """
    loose = _components(count, pairs)
    crowded = np.bincount(loose, minlength=1)[loose] > MOST_COPIES
    strict = pairs["correlation"].to_numpy() >= STRICT_CORRELATION
    number = _components(count, pairs[strict | ~crowded[pairs["first"].to_numpy(np.intp)]])
    smaller = np.bincount(number, minlength=1)[number] < np.bincount(loose, minlength=1)[loose]
    return NearGroups(number, smaller)


def _components(count: int, pairs: pd.DataFrame) -> NDArray[np.int64]:
    ends = pairs["first"].to_numpy(np.intp), pairs["second"].to_numpy(np.intp)
    graph = coo_matrix((np.ones(len(pairs)), ends), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    return pd.factorize(component)[0].astype(np.int64)


def crowd_sentence(parted: int, what: str) -> str:
    """What was done with look-alikes; empty where there were none.

    Args:
        parted: how many patches were taken out of crowds, or left in smaller sets.
        what: they are of, such as ``training patches``.
    """
    if parted == 0:
        return ""
    return (
        f"{parted:,} {what} look alike in chains of more than {MOST_COPIES}: among them only those whose detail "
        f"correlates at {STRICT_CORRELATION} or more are taken for near duplicates."
    )


def shared_pixels(train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
    """Ids of the patches of `test` whose very pixels are in `train`: a model is scored on memory there.

    Args:
        train, test: id, pixel_hash (str), as in a pack.
    """
    return sorted(test["id"][test["pixel_hash"].isin(train["pixel_hash"])])
