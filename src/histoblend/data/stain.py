"""Stain colours: colour deconvolution, statistics that tell slides apart, pseudo-slides from them.

Sources: Ruifrok & Johnston, "Quantification of histochemical staining by color deconvolution", 2001 (the
    stain vectors);
Macenko et al., "A method for normalizing histology slides for quantitative analysis", 2009 (the ends of the
hue range in optical density stand for the two stains).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]


def _unit_rows(rows: list[list[float]]) -> Float32Array:
    matrix = np.asarray(rows, dtype=np.float64)
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


# Optical density of red, green and blue per unit of haematoxylin, eosin and the residual (DAB) stain.
OD_FROM_HED: Float32Array = _unit_rows([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
HED_FROM_OD: Float32Array = np.linalg.inv(OD_FROM_HED.astype(np.float64)).astype(np.float32)

# One is added to each intensity, or black would have an infinite density.
DENSITY_OF_INTENSITY: Float32Array = (np.log(256.0) - np.log(np.arange(256) + 1.0)).astype(np.float32)


def optical_density(images: UInt8Array) -> Float32Array:
    """Natural-log optical density, 0 (white) to 5.55 (black): uint8 (..., 3) in, float32 (..., 3) out."""
    return DENSITY_OF_INTENSITY[images]


def stain_concentrations(images: UInt8Array) -> Float32Array:
    """Haematoxylin, eosin and residual concentrations: uint8 (..., 3) in, float32 (..., 3) out.

    Unit: natural-log optical density along the stain's unit vector; a colour outside the stains' cone gives
        negatives.
    """
    return optical_density(images) @ HED_FROM_OD


def intensities(concentrations: Float32Array) -> UInt8Array:
    """The inverse of `stain_concentrations`: float32 (..., 3) in, uint8 (..., 3) out, rounded and clipped."""
    levels = 256.0 * np.exp(-(concentrations @ OD_FROM_HED)) - 1.0
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


IMAGES_AT_A_TIME = 256
STATISTICS = (
    "blue_share_5",
    "blue_share_50",
    "blue_share_95",
    "red_share_95",
    "dark_red_share",
    "dark_blue_share",
    "pale_blue_share",
    "dark_density",
    "blue_slope",
    "fine_sharpness",
    "coarse_sharpness",
    "noise",
    "colour_noise",
)
FAINT = 0.3  # density summed over the channels up to which a pixel is taken for glass
FITTED_ROWS = 20_000  # patches that the clusters are fitted to at most: more change little and take minutes


def stain_statistics(images: UInt8Array) -> Float32Array:
    """Statistics of `STATISTICS` that tell slides apart rather than tissues: stain hues, strength, optics.

    Hues are shares of a channel in the optical density of all three, which thickness and brightness leave
    alone; the ends of their range over the tissue stand for the two stains (as in Macenko's method). Blue
    says most, because scanners and eosin batches differ there, and tissues hardly do.

    Args:
        images: uint8 (n, height, width, 3), sides of at least 6 pixels. Works in memory of about ten times
            their size: give chunks of some hundred.

    Returns:
        float32 (n, 13), finite also for blank patches.
    """
    if not len(images):
        return np.empty((0, len(STATISTICS)), dtype=np.float32)
    return np.column_stack([_colour_statistics(images), *_optics_statistics(images).T]).astype(np.float32)


def stain_statistics_of(images: UInt8Array, rows: NDArray[np.int64]) -> Float32Array:
    """`stain_statistics` of some `rows` (at least one) of a large array or memory map, chunk by chunk."""
    starts = range(0, len(rows), IMAGES_AT_A_TIME)
    return np.concatenate(
        [stain_statistics(images[rows[start : start + IMAGES_AT_A_TIME]]) for start in starts]
    )


def cluster_stains(statistics: Float32Array, clusters: int, seed: int) -> NDArray[np.int64]:
    """Pseudo-slides: a Gaussian mixture whose components share one covariance, that of tissue within slides.

    The common covariance learns which statistics vary within slides, and discounts them; clusters by k-means
    on the same statistics agreed half as well with the true slides of drawn patches.

    Args:
        statistics: (n, d), as from `stain_statistics`.
        clusters: number asked for; fewer come back where patches are few or alike.
        seed: of the starting points; same seed, same clusters.

    Returns:
        int64 (n,), numbered from 0 without a gap.
    """
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    standard = _standardise(statistics)
    fitted = standard[:: -(-len(standard) // FITTED_ROWS)]
    components = min(clusters, len(np.unique(fitted, axis=0)))
    if components < 2:  # one patch, or all alike
        return np.zeros(len(statistics), dtype=np.int64)
    mixture = GaussianMixture(components, covariance_type="tied", reg_covar=1e-3, n_init=3, random_state=seed)
    with threadpool_limits(1):  # sums over threads end differently from run to run
        numbers = mixture.fit(fitted).predict(standard)
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def _standardise(statistics: Float32Array) -> NDArray[np.float64]:
    """Centred on the median, in units of the interquartile range, cut at 4: blank patches bend nothing."""
    values = statistics.astype(np.float64)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    return np.clip((values - middle) / np.maximum(high - low, 1e-6), -4, 4)


def _colour_statistics(images: UInt8Array) -> Float32Array:
    """The nine statistics of hue and strength, on pictures of a third of the side: (n, 9)."""
    side = images.shape[2] // 3, images.shape[1] // 3
    small = np.stack([cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in images])
    density = optical_density(small).reshape(len(images), -1, 3)
    total = density.sum(axis=2)
    tissue = total > FAINT
    tissue |= ~tissue.any(axis=1, keepdims=True)
    share = (density + 1e-3) / (density + 1e-3).sum(axis=2, keepdims=True)
    dark_from, pale_to = _quantiles(total, tissue, (0.85, 0.15)).T[..., None]
    dark = _mean_where(share, tissue & (total >= dark_from))
    pale = _mean_where(share, tissue & (total <= pale_to))
    return np.column_stack(
        [
            _quantiles(share[..., 2], tissue, (0.05, 0.5, 0.95)),
            _quantiles(share[..., 0], tissue, (0.95,)),
            dark[:, [0, 2]],
            pale[:, 2],
            dark_from,
            _slope(density[..., 2], density[..., 1]),
        ]
    )


def _optics_statistics(images: UInt8Array) -> Float32Array:
    """Log ratios of detail at neighbouring scales, and log amplitudes of what the finest scale holds: (n, 4)."""
    rows = []
    for image in images:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        edges = _edges(gray)
        colour = image[..., 2].astype(np.float32) - image[..., 1]
        rows.append(
            [
                np.log((cv2.Laplacian(gray, cv2.CV_32F).std() + 0.5) / (edges + 0.5)),
                np.log((_edges(cv2.pyrDown(gray)) + 1.0) / (edges + 1.0)),
                np.log(np.abs(gray - cv2.GaussianBlur(gray, (0, 0), 0.7)).mean() + 0.1),
                np.log(np.abs(colour - cv2.blur(colour, (3, 3))).mean() + 0.1),
            ]
        )
    return np.asarray(rows, dtype=np.float32)


def _edges(gray: Float32Array) -> float:
    return float(cv2.Sobel(gray, cv2.CV_32F, 1, 0).std() + cv2.Sobel(gray, cv2.CV_32F, 0, 1).std())


def _quantiles(values: Float32Array, where: NDArray[np.bool_], shares: Sequence[float]) -> Float32Array:
    """Quantiles of each row of (n, pixels) over the pixels `where` is true, at least one a row: (n, shares)."""
    ordered = np.sort(np.where(where, values, np.inf), axis=1)
    last = where.sum(axis=1) - 1
    ranks = np.rint(np.outer(last, shares)).astype(np.intp)
    return np.take_along_axis(ordered, ranks, axis=1)


def _mean_where(values: Float32Array, where: NDArray[np.bool_]) -> Float32Array:
    """Mean of (n, pixels, 3) over the pixels `where` is true: (n, 3)."""
    weights = where / where.sum(axis=1, keepdims=True)
    return np.einsum("np,npc->nc", weights, values)


def _slope(values: Float32Array, by: Float32Array) -> Float32Array:
    """Slope of the least-squares line of each row of `values` on `by`, 0 where `by` is constant: (n,)."""
    centred = by - by.mean(axis=1, keepdims=True)
    return (centred * values).sum(axis=1) / ((centred**2).sum(axis=1) + 1e-3)
