"""Drawn cell nuclei: small pictures with an outline, chromatin and nucleoli, ready to be laid on a canvas.

Everything is in canvas pixels, which are half as wide as a patch's (see `fields.SCALE`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

HALF_SIDE = 32  # canvas pixels: half the side of a stamp; the canvas has this margin so that none is cut off


@dataclass(frozen=True)
class NucleusStyle:
    """What one kind of nucleus looks like on one slide; lengths in canvas pixels, stain in full nuclei.

    Attributes:
        radius: median of the radius.
        spread: standard deviation of the logarithm of the radius.
        elongation: largest ratio of the long to the short axis.
        irregularity: how far the outline leaves an ellipse, relative to the radius.
        darkness: mean hematoxylin inside.
        rim: additional hematoxylin along the membrane; what a rim has more the inside has less.
        clumps: standard deviation of the chromatin.
        grain: size of the clumps of chromatin.
        nucleoli: expected number of dark dots.
    """

    radius: float
    spread: float
    elongation: float
    irregularity: float
    darkness: float
    rim: float
    clumps: float
    grain: float
    nucleoli: float


@dataclass(frozen=True)
class Stamp:
    """One nucleus: ``canvas * keep + ink`` lays it on a canvas of two planes, hematoxylin and eosin."""

    keep: np.ndarray  # (side, side) float32 in 0..1: how much of what lies below stays
    ink: np.ndarray  # (2, side, side) float32: stain of the nucleus
    radius: float  # canvas pixels from the middle to the farthest inked pixel


def draw_stamps(style: NucleusStyle, count: int, generator: np.random.Generator) -> list[Stamp]:
    """`count` different nuclei of one style, each in its eight orientations."""
    stamps = [_draw_stamp(style, generator) for _ in range(count)]
    return [_turned(stamp, view) for stamp in stamps for view in range(8)]


def oriented(planes: np.ndarray, view: int) -> np.ndarray:
    """One of the eight orientations (0 to 7) of (..., side, side) planes, as a view."""
    if view & 1:
        planes = planes[..., ::-1, :]
    if view & 2:
        planes = planes[..., ::-1]
    return planes.swapaxes(-1, -2) if view & 4 else planes


def _turned(stamp: Stamp, view: int) -> Stamp:
    keep, ink = (np.ascontiguousarray(oriented(planes, view)) for planes in (stamp.keep, stamp.ink))
    return Stamp(keep, ink, stamp.radius)


def _draw_stamp(style: NucleusStyle, generator: np.random.Generator) -> Stamp:
    radius = min(style.radius * float(np.exp(style.spread * generator.standard_normal())), 0.62 * HALF_SIDE)
    depth = _depth(style, radius, generator)
    inside = 1.0 / (1.0 + np.exp(-depth / 0.6))
    stain = np.clip(_chromatin(style, depth, generator), 0.15, 1.8)
    middle = len(inside) // 2
    half = _half_side(inside)
    window = slice(middle - half, middle + half)
    alpha = inside[window, window].astype(np.float32)
    eosin = 0.28 * np.ones_like(stain)
    ink = np.stack([stain, eosin])[:, window, window].astype(np.float32) * alpha
    return Stamp(keep=1.0 - alpha, ink=ink, radius=float(half))


def _depth(style: NucleusStyle, radius: float, generator: np.random.Generator) -> np.ndarray:
    """Canvas pixels below the outline, negative outside: a turned ellipse with harmonics 2 to 6."""
    half = min(HALF_SIDE, int(radius * 1.6 * np.sqrt(style.elongation)) + 4)
    axis = np.arange(2 * half, dtype=np.float32) - half + 0.5
    turn, stretch = generator.uniform(0, np.pi), np.sqrt(generator.uniform(1.0, style.elongation))
    along = (axis[None, :] * np.cos(turn) + axis[:, None] * np.sin(turn)) / stretch
    across = (axis[:, None] * np.cos(turn) - axis[None, :] * np.sin(turn)) * stretch
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for harmonic in range(2, 7):
        size = style.irregularity * generator.standard_normal() / np.sqrt(harmonic)
        outline += size * np.cos(harmonic * angle + generator.uniform(0, 2 * np.pi))
    return radius * np.clip(outline, 0.45, 1.6) - np.hypot(along, across)


def _chromatin(style: NucleusStyle, depth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Hematoxylin inside the nucleus: even ground, membrane, clumps and nucleoli."""
    rim = np.exp(-((np.maximum(depth, 0.0) / 1.8) ** 2)) - 0.3
    noise = cv2.GaussianBlur(generator.standard_normal(depth.shape), (0, 0), style.grain)
    stain = style.darkness + style.rim * rim + style.clumps * noise / noise.std()
    reach = max(float(depth.max()) * 0.55, 0.5)
    rows, columns = np.indices(depth.shape) - len(depth) // 2
    for _ in range(generator.poisson(style.nucleoli)):
        row, column = generator.uniform(-reach, reach, 2)
        size = generator.uniform(1.3, 2.4)
        stain = stain + 0.75 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * size**2))
    return stain


def _half_side(inside: np.ndarray) -> int:
    """Half the side of the smallest centred square that holds every inked pixel."""
    rows, columns = np.nonzero(inside > 0.02)
    middle = len(inside) // 2
    reach = np.abs(np.concatenate([rows, columns]) - middle + 0.5).max()
    return int(min(np.ceil(reach + 0.5), middle))
