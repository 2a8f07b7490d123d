"""Colour, stain and texture statistics of a patch and of its labelled centre: what `texture_hgb` learns from.

Every statistic is unchanged when the patch is turned or mirrored (the dihedral group D4), as the label is:
gradients and openings use kernels that D4 maps onto themselves, pyramids average whole blocks, co-occurrences
count all directions.

Sources: Haralick et al., "Textural features for image classification", 1973 (co-occurrence); Ojala et al.,
"Multiresolution gray-scale and rotation invariant texture classification with local binary patterns", 2002;
Matheron, "Random sets and integral geometry", 1975 (granulometry); Ruifrok & Johnston, 2001 (stains).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histoblend.data.stain import Float32Array, UInt8Array, stain_concentrations

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CHANNELS = tuple(f"{space}_{axis}" for space in ("rgb", "hsv", "lab", "hed") for axis in "012")
GRAY_LEVELS = 16  # of the co-occurrence matrices
DISTANCES = (1, 3)  # of co-occurring pixels
OPENINGS = (1, 2, 3, 4, 6, 8)  # radii in pixels; a lymphocyte's nucleus has about 4, a tumour cell's 6 to 10
Block = Iterator[tuple[str, float]]
Plane = NDArray[Any]


def texture_features(images: UInt8Array) -> Float32Array:
    """The statistics of `FEATURE_NAMES`: uint8 (n, side, side, 3) in, float32 (n, features) out, all finite.

    Images are taken one by one: any chunk gives the same rows.
    """
    rows = [list(_describe(image).values()) for image in images]
    return np.asarray(rows, dtype=np.float32).reshape(len(images), len(FEATURE_NAMES))


def _describe(image: UInt8Array) -> dict[str, float]:
    """All statistics of uint8 (height, width, 3) by name: names and values cannot come apart."""
    gray: Plane = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    stains = stain_concentrations(image)
    haematoxylin = np.ascontiguousarray(stains[..., 0])
    # Whole numbers, or the same sums in another order would decide the comparisons of a turned patch.
    nuclear = np.clip(haematoxylin * 80 + 40, 0, 255).astype(np.uint8)
    blocks = (
        _colours(image, stains),
        _gradients("gray", gray.astype(np.float32)),
        _gradients("nuclei", haematoxylin * 64),
        _coherence(gray.astype(np.float32)),
        _binary_patterns("gray", gray, 1),
        _binary_patterns("gray", gray, 3),
        _binary_patterns("nuclei", cv2.GaussianBlur(nuclear, (3, 3), 0), 2),
        _cooccurrences("gray", gray >> 4),
        _cooccurrences("nuclei", _relative_levels(haematoxylin)),
        _granulometry(haematoxylin),
        _nuclei(nuclear),
    )
    return {name: value for block in blocks for name, value in block}


def _regions(plane: Plane) -> Iterator[tuple[str, Plane]]:
    """The whole of a plane (height, width, ...) and its labelled centre, a third of its side."""
    side = _centre(plane)
    top, left = (plane.shape[0] - side) // 2, (plane.shape[1] - side) // 2
    yield "patch", plane
    yield "centre", plane[top : top + side, left : left + side]


def _centre(plane: Plane) -> int:
    return -(-plane.shape[0] // 3)  # 32 of 96 pixels, also where a filter has trimmed the plane by some


def _colours(image: UInt8Array, stains: Float32Array) -> Block:
    """Mean, spread and quantiles of each of twelve channels, and how far the centre's mean lies from the patch's."""
    spaces = (image, cv2.cvtColor(image, cv2.COLOR_RGB2HSV), cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    stack = np.concatenate([*(space.astype(np.float32) for space in spaces), stains], axis=2)
    means = {}
    for region, values in _regions(stack):
        ordered = np.sort(values.reshape(-1, len(CHANNELS)).T, axis=1)
        means[region] = ordered.mean(axis=1)
        ranks = np.rint(np.multiply(QUANTILES, ordered.shape[1] - 1)).astype(np.intp)
        statistics = np.column_stack([means[region], ordered.std(axis=1), ordered[:, ranks]])
        for channel, row in zip(CHANNELS, statistics, strict=True):
            for statistic, value in zip(("mean", "std", *(f"q{q}" for q in QUANTILES)), row, strict=True):
                yield f"{region}_{channel}_{statistic}", value
    for channel, difference in zip(CHANNELS, means["centre"] - means["patch"], strict=True):
        yield f"contrast_{channel}", difference


def _gradients(name: str, plane: Float32Array) -> Block:
    """Mean, spread and a high quantile of the gradient's size on the plane and on its half and quarter."""
    height, width = plane.shape
    for shrunk in (1, 2, 4):
        smaller = cv2.resize(plane, (width // shrunk, height // shrunk), interpolation=cv2.INTER_AREA)
        along, down = cv2.Sobel(smaller, cv2.CV_32F, 1, 0), cv2.Sobel(smaller, cv2.CV_32F, 0, 1)
        size = np.sqrt(along * along + down * down)  # cv2.magnitude rounds by where in memory its input lies
        for region, values in _regions(size):
            yield f"{region}_{name}_gradient{shrunk}_mean", values.mean()
            yield f"{region}_{name}_gradient{shrunk}_std", values.std()
            yield f"{region}_{name}_gradient{shrunk}_q0.9", np.quantile(values, 0.9)


def _coherence(gray: Float32Array) -> Block:
    """How far gradients agree in direction (1 for fibres, 0 for round cells), from the structure tensor."""
    along, down = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    for scale in (2, 5):
        products = (along * along, down * down, along * down)
        xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), scale) for product in products)
        coherence = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1.0)
        for region, values in _regions(coherence):
            yield f"{region}_coherence{scale}", values.mean()


def _riu2() -> NDArray[np.intp]:
    """Class of each of the 256 patterns: the number of ones where they are in one run, else 9 (Ojala et al.)."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), 9).astype(np.intp)


PATTERN_CLASS = _riu2()
AROUND = (
    (-1, -1),
    (-1, 0),
    (-1, 1),
    (0, 1),
    (1, 1),
    (1, 0),
    (1, -1),
    (0, -1),
)  # the eight neighbours in turn


def _binary_patterns(name: str, plane: Plane, radius: int) -> Block:
    """Shares of the ten classes of local binary patterns, rotation invariant."""
    height, width = plane.shape
    padded = cv2.copyMakeBorder(plane, radius, radius, radius, radius, cv2.BORDER_REFLECT_101)
    codes = np.zeros((height, width), dtype=np.uint8)
    for bit, (down, right) in enumerate(AROUND):
        top, left = radius * (1 + down), radius * (1 + right)
        codes |= (padded[top : top + height, left : left + width] >= plane).astype(np.uint8) << bit
    for region, values in _regions(PATTERN_CLASS[codes]):
        counts = np.bincount(values.ravel(), minlength=10)
        for pattern, share in enumerate(counts / values.size):
            yield f"{region}_{name}_pattern{radius}_{pattern}", share


def _relative_levels(plane: Float32Array) -> UInt8Array:
    """Levels 0..15 over two standard deviations about the mean: structure apart from strength of stain."""
    standard = (plane - plane.mean()) / (plane.std() + 0.02)
    return np.clip((standard + 2.0) * (GRAY_LEVELS / 4), 0, GRAY_LEVELS - 1).astype(np.uint8)


def _cooccurrences(name: str, levels: Plane) -> Block:
    """Haralick's contrast, homogeneity, energy, entropy and correlation, over all eight directions at once."""
    for distance in DISTANCES:
        for region, values in _regions(levels):
            matrix = _cooccurrence_matrix(values.astype(np.intp), distance)
            for statistic, value in _haralick(matrix):
                yield f"{region}_{name}_cooccurrence{distance}_{statistic}", value


def _cooccurrence_matrix(levels: NDArray[np.intp], distance: int) -> NDArray[np.float64]:
    """Shares of the ordered pairs of levels of pixels `distance` apart along rows, columns and diagonals: (16, 16)."""
    d = distance
    pairs = (
        (levels[:, d:], levels[:, :-d]),
        (levels[d:], levels[:-d]),
        (levels[d:, d:], levels[:-d, :-d]),
        (levels[d:, :-d], levels[:-d, d:]),
    )
    joint = np.concatenate([(GRAY_LEVELS * one + other).ravel() for one, other in pairs])
    counts = np.bincount(joint, minlength=GRAY_LEVELS**2).reshape(GRAY_LEVELS, GRAY_LEVELS)
    return (counts + counts.T) / (2 * len(joint))


LEVEL = np.arange(GRAY_LEVELS, dtype=np.float64)
APART = LEVEL[:, None] - LEVEL


def _haralick(matrix: NDArray[np.float64]) -> Block:
    marginal = matrix.sum(axis=0)
    mean = marginal @ LEVEL
    variance = marginal @ (LEVEL - mean) ** 2
    contrast = (matrix * APART**2).sum()
    yield "contrast", contrast
    yield "homogeneity", (matrix / (1 + APART**2)).sum()
    yield "energy", (matrix**2).sum()
    yield "entropy", -(matrix * np.log(matrix + 1e-12)).sum()
    yield "correlation", 1 - contrast / (2 * variance + 1e-6)


def _disc(radius: int) -> UInt8Array:
    """A disc that D4 maps onto itself; OpenCV's ellipse is not one."""
    squares = np.arange(-radius, radius + 1) ** 2
    return (squares[:, None] + squares <= (radius + 0.3) ** 2).astype(np.uint8)


DISCS = tuple(_disc(radius) for radius in OPENINGS)


def _granulometry(haematoxylin: Float32Array) -> Block:
    """What openings with growing discs take from the nuclear stain (sizes of nuclei), closings add (sizes of gaps)."""
    for operation, name in ((cv2.MORPH_OPEN, "opening"), (cv2.MORPH_CLOSE, "closing")):
        before: Plane = haematoxylin
        for radius, disc in zip(OPENINGS, DISCS, strict=True):
            after = cv2.morphologyEx(haematoxylin, operation, disc, borderType=cv2.BORDER_REFLECT_101)
            for region, values in _regions(cv2.absdiff(before, after)):
                yield f"{region}_{name}{radius}", values.mean()
            before = after


def _nuclei(nuclear: Plane) -> Block:
    """Number, size, shape, strength and unevenness of the dark spots that Otsu's threshold cuts out."""
    smooth = cv2.GaussianBlur(nuclear, (5, 5), 1.0)
    threshold, mask = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, DISCS[1], borderType=cv2.BORDER_REFLECT_101)
    _, spots, boxes, middles = cv2.connectedComponentsWithStats(mask, connectivity=4)
    areas = boxes[1:, cv2.CC_STAT_AREA].astype(np.float64)
    strength = np.bincount(spots.ravel(), smooth.ravel())[1:] / np.maximum(areas, 1)
    fill = areas / np.maximum(boxes[1:, cv2.CC_STAT_WIDTH] * boxes[1:, cv2.CC_STAT_HEIGHT], 1)
    off_centre = np.abs(middles[1:] - (np.array(mask.shape[::-1]) - 1) / 2).max(axis=1, initial=0.0)
    yield "nuclei_threshold", threshold
    for region, inside in (("patch", areas > 0), ("centre", off_centre <= _centre(mask) / 2)):
        yield f"{region}_nuclei_count", inside.sum()
        for name, values in (("area", areas), ("strength", strength), ("fill", fill)):
            yield from _spread(f"{region}_nuclei_{name}", values[inside])
    for region, values in _regions(mask):
        yield f"{region}_nuclei_cover", values.mean()


def _spread(name: str, values: NDArray[np.float64]) -> Block:
    """Mean, spread and maximum; zeros where there is nothing."""
    some = values if len(values) else np.zeros(1)
    yield f"{name}_mean", some.mean()
    yield f"{name}_std", some.std()
    yield f"{name}_max", some.max()


FEATURE_NAMES: tuple[str, ...] = tuple(_describe(np.zeros((96, 96, 3), dtype=np.uint8)))
