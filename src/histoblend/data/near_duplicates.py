"""Near duplicates: patches of the same tissue that differ by compression, brightness, a slight shift, turning.

Three sieves, each finer and costlier: perceptual hashes, pairs of them that differ in a few bits, and of these
candidates the pairs whose fine detail correlates at the best of 9x9 shifts, as a whole and in most of its tiles:
unrelated patches may share an outline, never the detail all over.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from histoblend.data.near_candidates import candidate_pairs
from histoblend.data.perceptual_hash import (
    SIDE,
    TURNS,
    Progress,
    Rows,
    perceptual_hashes,
    view_hashes,
)
from histoblend.data.stain import Float32Array, UInt8Array

# On hcd-mini: copies that were recompressed (JPEG quality 20), shifted, brightened, blurred or shrunk by a third
# and enlarged correlate at .87 or more, their median tile at .83 or more; of 4,009 unrelated patches no candidate
# with that much detail reaches .5.
LEAST_CORRELATION = 0.8
LEAST_AGREEMENT = (
    0.6  # of the median tile: two discs of one size on unrelated ground agree at their rims only
)
TILES = 4  # a side
LEAST_DETAIL = 1.5  # levels; below it (empty glass, .7 % of hcd-mini) noise is all there is to compare
MOST_TINT = 15.0  # levels; compression and brightness leave the tint of a picture, another car has another
MARGIN = 4  # pixels by which a copy may be shifted at most
FINE, COARSE = 1.0, 3.0  # widths of the two blurs (pixels) between which detail lies


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
    candidates = candidate_pairs(hashes, hashes[:, 0], within=True)
    candidates[["first", "second"]] = chosen[candidates[["first", "second"]].to_numpy()]
    return _confirmed(images, images, candidates)


def near_pairs_between(left: UInt8Array, right: UInt8Array, progress: Progress | None = None) -> pd.DataFrame:
    """The same between two arrays, such as train and test: `first` is a row of `left`, `second` of `right`."""
    candidates = candidate_pairs(view_hashes(left, None, progress), perceptual_hashes(right), within=False)
    return _confirmed(left, right, candidates)


def _confirmed(left: UInt8Array, right: UInt8Array, candidates: pd.DataFrame) -> pd.DataFrame:
    """The candidates whose detail correlates, each pair once, in the view that fits best."""
    correlations = [
        _correlation(TURNS[turn](_detail(left[first])), _detail(right[second]))
        if np.abs(_tint(left[first]) - _tint(right[second])).max() <= MOST_TINT
        else 0.0
        for first, second, turn in candidates[["first", "second", "turn"]].to_numpy()
    ]
    table = candidates.assign(correlation=np.array(correlations, float), turned=candidates["turn"] > 0)
    table = table[table["correlation"] >= LEAST_CORRELATION]
    table = table.sort_values(["correlation", "first", "second"], ascending=[False, True, True])
    table = table.drop_duplicates(["first", "second"], ignore_index=True)
    return table[["first", "second", "turned", "bits", "correlation"]]


def _tint(image: UInt8Array) -> Float32Array:
    """Mean of each channel about the mean of all, float32 (3,): brightness does not change it."""
    means = image.reshape(-1, 3).mean(axis=0, dtype=np.float32)
    return np.asarray(means - means.mean())


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
