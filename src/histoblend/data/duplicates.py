"""Near duplicates: patches of the same tissue that differ by compression, brightness, a slight shift, turning.

Three sieves, each finer and costlier. A perceptual hash of 64 bits (Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010), here the signs of the low frequencies of a cosine transform. Pairs whose
hashes differ in at most 7 bits, found without comparing all pairs: of four bands of 16 bits, one then differs
in at most one bit (Manku et al., "Detecting near-duplicates for web crawling", 2007). Of these candidates, the
pairs whose fine detail correlates at the best of 9x9 shifts, as a whole and in most of its tiles: unrelated patches
may share an outline, never the detail all over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from histoblend.data.stain import Float32Array, UInt8Array

Hashes = NDArray[np.uint64]
Rows = NDArray[np.intp]
Progress = Callable[[int, int], None]

SIDE = 96  # pixels at which two patches are compared
THUMBNAIL = 32  # side of the picture that is transformed
FREQUENCIES = 8
SHIFT = 1.5  # pixels of the four shifted views: with the plain one they come within 1 of any shift up to 2
MOST_BITS = 7
BANDS, BAND_BITS = 4, 16
PAIRS_AT_A_TIME = 1 << 22
IMAGES_AT_A_TIME = 1024

# On hcd-mini: copies that were recompressed (JPEG quality 20), shifted, brightened, blurred or shrunk by a third
# and enlarged correlate at .87 or more, their median tile at .83 or more; of 4,009 unrelated patches no candidate
# with that much detail reaches .5.
LEAST_CORRELATION = 0.8
LEAST_AGREEMENT = (
    0.6  # of the median tile: two discs of one size on unrelated ground agree at their rims only
)
TILES = 4  # a side
LEAST_DETAIL = 1.5  # levels; below it (empty glass, .7 % of hcd-mini) noise is all there is to compare
LEAST_THUMBNAIL_SPREAD = 0.5  # levels; below it the hash itself is noise
MARGIN = 4  # pixels by which a copy may be shifted at most
FINE, COARSE = 1.0, 3.0  # widths of the two blurs (pixels) between which detail lies

Plane = NDArray[Any]
View = Callable[[Plane], Plane]


def _turned(image: Plane, turns: int, mirrored: bool) -> Plane:
    turned = np.rot90(image, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


TURNS: tuple[View, ...] = tuple(
    partial(_turned, turns=turns, mirrored=mirrored) for mirrored in (False, True) for turns in range(4)
)
"""The eight dihedral views; the first is the picture itself."""
SHIFTS = tuple((across, down) for across in (-SHIFT, SHIFT) for down in (-SHIFT, SHIFT))
VIEWS = len(TURNS) + len(SHIFTS)


def perceptual_hashes(images: UInt8Array, rows: Rows | None = None) -> Hashes:
    """One hash a patch: uint8 (n, height, width, 3) in, uint64 (n,) out; 0 where there is nothing to see.

    Args:
        images: read chunk by chunk; may be a memory map.
        rows: those wanted; None for all.
    """
    chunks = [_hashes(_thumbnails(images[chunk], (0.0, 0.0))) for chunk in _chunks(len(images), rows)]
    return np.concatenate([*chunks, np.empty(0, np.uint64)])


def view_hashes(images: UInt8Array, rows: Rows | None = None, progress: Progress | None = None) -> Hashes:
    """Hashes of each patch, its seven turned and mirrored views and four slightly shifted ones.

    Args:
        images: uint8 (n, height, width, 3), read chunk by chunk; may be a memory map.
        rows: those wanted; None for all.
        progress: told how many patches of how many are done.

    Returns:
        uint64 (rows, 12); column 0 is `perceptual_hashes`.
    """
    hashes = np.empty((len(images) if rows is None else len(rows), VIEWS), dtype=np.uint64)
    done = 0
    for chunk in _chunks(len(images), rows):
        pictures = images[chunk]
        plain = _thumbnails(pictures, (0.0, 0.0))
        views = [np.stack([turn(thumbnail) for thumbnail in plain]) for turn in TURNS]
        views += [_thumbnails(pictures, shift) for shift in SHIFTS]
        hashes[done : done + len(chunk)] = np.column_stack([_hashes(view) for view in views])
        done += len(chunk)
        if progress:
            progress(done, len(hashes))
    return hashes


def near_pairs(
    images: UInt8Array, rows: Rows | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """Pairs of near duplicates within one array, exact ones included.

    Found: copies recompressed as JPEG, up to 10 levels brighter or darker, shifted by 1 or 2 pixels, resized a
    little; or turned by quarters or mirrored, and then recompressed or brightened, but not shifted as well.
    Not found: patches with hardly any detail (empty glass), and overlaps shifted by more than 4 pixels.

    Args:
        images: uint8 (n, height, width, 3), read where needed; may be a memory map.
        rows: those to look at, such as the first of each set of identical ones; None for all.
        progress: told how many patches of how many are hashed, which is most of the time.

    Returns:
        first, second (int64, rows of `images`, first < second), turned (bool), bits (int64, 0 to 7: by how many
        the hashes differ), correlation (float64, of the detail, at least .8); the closest pairs first.
    """
    chosen = np.arange(len(images)) if rows is None else np.sort(rows)
    hashes = view_hashes(images, chosen, progress)
    candidates = _candidates(hashes, hashes[:, 0], within=True)
    candidates[["first", "second"]] = chosen[candidates[["first", "second"]].to_numpy()]
    return _confirmed(images, images, candidates)


def near_pairs_between(left: UInt8Array, right: UInt8Array, progress: Progress | None = None) -> pd.DataFrame:
    """The same between two arrays, such as train and test: `first` is a row of `left`, `second` of `right`."""
    candidates = _candidates(view_hashes(left, None, progress), perceptual_hashes(right), within=False)
    return _confirmed(left, right, candidates)


def near_groups(count: int, pairs: pd.DataFrame) -> NDArray[np.int64]:
    """Group number of each of `count` rows: rows of a pair share it, also through others; the rest stand alone.

    Returns:
        int64 (count,), numbered 0, 1, ... in the order of first appearance.
    """
    ends = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    graph = coo_matrix((np.ones(len(pairs)), ends), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    return pd.factorize(component)[0].astype(np.int64)


def near_duplicate_groups(
    images: UInt8Array, rows: Rows | None = None, progress: Progress | None = None
) -> NDArray[np.int64]:
    """Group number of each patch, near duplicates sharing one: see `near_pairs` and `near_groups`."""
    return near_groups(len(images), near_pairs(images, rows, progress))


def _chunks(count: int, rows: Rows | None) -> Iterator[Rows]:
    chosen = np.arange(count) if rows is None else rows
    return (chosen[start : start + IMAGES_AT_A_TIME] for start in range(0, len(chosen), IMAGES_AT_A_TIME))


def _thumbnails(images: UInt8Array, shift: tuple[float, float]) -> Float32Array:
    """Luminance of the patches, shifted by so many pixels of 96: float32 (n, 32, 32)."""
    small = np.empty((len(images), THUMBNAIL, THUMBNAIL), dtype=np.float32)
    for place, image in enumerate(images):
        gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        if any(shift):
            across, down = np.multiply(shift, len(gray) / SIDE)
            move = np.array([[1, 0, across], [0, 1, down]], dtype=np.float32)
            gray = cv2.warpAffine(gray, move, gray.shape[::-1], borderMode=cv2.BORDER_REFLECT)
        small[place] = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return small


def _cosines() -> Float32Array:
    """The lowest waves of the discrete cosine transform (type II): (8, 32)."""
    phase = np.outer(np.arange(FREQUENCIES), 2 * np.arange(THUMBNAIL) + 1) * np.pi / (2 * THUMBNAIL)
    return np.cos(phase).astype(np.float32)


COSINES = _cosines()


def _hashes(thumbnails: Float32Array) -> Hashes:
    """Signs of the 63 lowest frequencies but the constant, as uint64 (n,): brightness and contrast leave them alone."""
    waves = COSINES @ thumbnails @ COSINES.T
    signs = (waves > 0).reshape(len(thumbnails), -1)
    signs[:, 0] = False
    signs[thumbnails.std(axis=(1, 2)) < LEAST_THUMBNAIL_SPREAD] = False
    return np.packbits(signs, axis=1).view(np.uint64).ravel()


def _candidates(views: Hashes, hashes: Hashes, within: bool) -> pd.DataFrame:
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


def _confirmed(left: UInt8Array, right: UInt8Array, candidates: pd.DataFrame) -> pd.DataFrame:
    """The candidates whose detail correlates, each pair once, in the view that fits best."""
    correlations = [
        _correlation(TURNS[turn](_detail(left[first])), _detail(right[second]))
        for first, second, turn in candidates[["first", "second", "turn"]].to_numpy()
    ]
    table = candidates.assign(correlation=np.array(correlations, float), turned=candidates["turn"] > 0)
    table = table[table["correlation"] >= LEAST_CORRELATION]
    table = table.sort_values(["correlation", "first", "second"], ascending=[False, True, True])
    table = table.drop_duplicates(["first", "second"], ignore_index=True)
    return table[["first", "second", "turned", "bits", "correlation"]]


def _detail(image: UInt8Array) -> Float32Array:
    """What lies between two blurs of the luminance: float32 (96, 96)."""
    gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    if gray.shape != (SIDE, SIDE):
        gray = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    plane = gray.astype(np.float32)
    return cv2.GaussianBlur(plane, (0, 0), FINE) - cv2.GaussianBlur(plane, (0, 0), COARSE)


def _correlation(one: Float32Array, other: Float32Array) -> float:
    """Of two details at the best shift of up to `MARGIN` pixels; 0 where there is too little, or too little agrees."""
    centre = one[MARGIN:-MARGIN, MARGIN:-MARGIN]
    if min(centre.std(), other[MARGIN:-MARGIN, MARGIN:-MARGIN].std()) < LEAST_DETAIL:
        return 0.0
    _, best, _, (left, top) = cv2.minMaxLoc(cv2.matchTemplate(other, centre, cv2.TM_CCOEFF_NORMED))
    if best < LEAST_CORRELATION:
        return 0.0
    aligned = other[top : top + len(centre), left : left + len(centre)]
    return best if _agreement(_tiles(centre), _tiles(aligned)) >= LEAST_AGREEMENT else 0.0


def _tiles(detail: Float32Array) -> Float32Array:
    """Sixteen tiles of a square detail, each centred on its mean: (16, pixels)."""
    side = len(detail) // TILES
    tiles = detail.reshape(TILES, side, TILES, side).swapaxes(1, 2).reshape(TILES**2, side**2)
    return np.asarray(tiles - tiles.mean(axis=1, keepdims=True), dtype=np.float32)


def _agreement(one: Float32Array, other: Float32Array) -> float:
    """The median correlation of the tiles in which there is detail."""
    spreads = one.std(axis=1), other.std(axis=1)
    with_detail = np.minimum(*spreads) >= LEAST_DETAIL
    if not with_detail.any():
        return 0.0
    correlations = (one * other).mean(axis=1)[with_detail] / np.multiply(*spreads)[with_detail]
    return float(np.median(correlations))
