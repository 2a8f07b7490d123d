"""Drawn tissue: maps of hematoxylin and eosin for one patch, and where in it the tumour lies.

A patch is composed on a canvas of twice its resolution with a margin, then averaged down for smooth edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from histoblend.competition.synthetic.fields import (
    CANVAS_SIDE,
    CENTRE_REACH,
    MIDDLE,
    SCALE,
    Textures,
    blob,
    distance,
    near,
    outside_centre,
    piece,
    step,
    turned,
)
from histoblend.competition.synthetic.nuclei import HALF_SIDE, Stamp
from histoblend.competition.synthetic.slides import GROUNDS, Slide


@dataclass(frozen=True)
class Canvas:
    """What is drawn so far."""

    stain: np.ndarray  # (2, CANVAS_SIDE, CANVAS_SIDE) float32: hematoxylin, eosin
    tumour: np.ndarray  # (CANVAS_SIDE, CANVAS_SIDE) bool: tumour nuclei and nests


def draw_ground(slide: Slide, textures: Textures, generator: np.random.Generator) -> Canvas:
    """Normal tissue of one of the slide's kinds, over the whole canvas."""
    kind = GROUNDS[int(generator.choice(len(GROUNDS), p=slide.ground_shares))]
    stain = _stroma(textures, generator)
    region = piece(textures.coarse, generator) + generator.normal(0, 0.5)
    lymph = {"lymph": 9.0, "stroma": -9.0, "reactive": -0.9}.get(kind, 0.0) + region
    if kind == "fat":
        stain *= 1.0 - _vacuoles(generator)
    if kind == "edge":
        stain *= step(region + generator.uniform(-0.8, 0.8), 8.0)
    _fill(stain, step(lymph, 6.0), (0.07, 0.17))
    _tear(stain, textures, generator)
    tissue = stain[1] > 0.1
    _lay(
        stain, slide.spindles, _points(generator.uniform(38, 70), tissue & (lymph < 0), generator), generator
    )
    _lay(stain, slide.lymphocytes, _lymph_points(slide, tissue & (lymph > 0), generator), generator)
    stray = _points(generator.uniform(45, 90), tissue & (lymph < 0), generator)
    _lay(stain, slide.lymphocytes, stray, generator)
    canvas = Canvas(stain, np.zeros(stain.shape[1:], dtype=bool))
    if kind == "reactive":
        add_island(
            canvas, slide, textures, generator, blob(near(0, 20, generator), 150.0, textures, generator)
        )
    return canvas


def add_island(
    canvas: Canvas, slide: Slide, textures: Textures, generator: np.random.Generator, mask: np.ndarray
) -> None:
    """A benign island, histiocytes or a germinal centre: large cells too, but round, even and alike."""
    _cells(canvas.stain, slide, textures, generator, mask)
    points = _points(slide.reactive_spacing, mask > 0, generator)
    _lay(canvas.stain, slide.reactive, points, generator)


def add_nest(
    canvas: Canvas, slide: Slide, textures: Textures, generator: np.random.Generator, in_centre: bool
) -> None:
    """A tumour nest that reaches into the centre square, with a nucleus there, or one that stays out."""
    mask, anchors = (_nest_inside if in_centre else _nest_outside)(textures, generator)
    _cells(canvas.stain, slide, textures, generator, mask)
    points = np.concatenate([_points(slide.nest_spacing, mask > 0, generator), anchors])
    choices = generator.integers(len(slide.tumour), size=len(points))
    if not in_centre:
        radii = np.array([stamp.radius for stamp in slide.tumour])[choices]
        clear = np.abs(points - MIDDLE).max(axis=1) - radii >= CENTRE_REACH + SCALE
        points, choices = points[clear], choices[clear]
    _press(canvas.stain, slide.tumour, points, choices)
    canvas.tumour[...] |= mask > 0
    for window, stamp in _windows(slide.tumour, points, choices):
        canvas.tumour[window] |= stamp.keep < 0.5


def _nest_inside(textures: Textures, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A blob anywhere that still covers a point in the centre square; and that point, (1, 2), for a nucleus."""
    anchor = generator.uniform(-0.8 * CENTRE_REACH, 0.8 * CENTRE_REACH, 2)
    radius = float(generator.uniform(22, 110))
    mask = blob(anchor + near(0, 0.75 * radius, generator), radius, textures, generator)
    return np.maximum(mask, 14.0 - distance(anchor)), (anchor + MIDDLE)[None, :]


def _nest_outside(textures: Textures, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A blob around or beside the centre square, never in it; no nucleus is forced."""
    radius = float(generator.uniform(40, 110))
    mask = blob(near(50, 90, generator), radius, textures, generator)
    return np.minimum(mask, outside_centre(textures, generator)), np.empty((0, 2))


def benign_mask(textures: Textures, generator: np.random.Generator) -> np.ndarray:
    """Where a benign island lies: placed as tumour nests are, so that place and size tell nothing."""
    radius = float(generator.uniform(30, 110))
    return blob(near(0, 0.6 * radius, generator), radius, textures, generator)


def _stroma(textures: Textures, generator: np.random.Generator) -> np.ndarray:
    strands = turned(textures.fibres, generator)
    thickness = generator.uniform(0.25, 0.7)
    eosin = thickness + 0.16 * strands + 0.08 * piece(textures.medium, generator)
    hematoxylin = 0.05 + 0.025 * piece(textures.medium, generator)
    return np.clip(np.stack([hematoxylin, eosin]), 0.02, None).astype(np.float32)


def _tear(stain: np.ndarray, textures: Textures, generator: np.random.Generator) -> None:
    """Small white clefts between the cells, in some patches many."""
    cleft = piece(textures.medium, generator) + 0.12 * piece(textures.fine, generator)
    stain *= 1.0 - 0.85 * step(cleft - generator.uniform(1.0, 3.2), 2.0)


def _vacuoles(generator: np.random.Generator) -> np.ndarray:
    """Fat: large round holes with thin walls between them, 1 inside."""
    holes = np.zeros((CANVAS_SIDE, CANVAS_SIDE), dtype=np.uint8)
    for row, column in _points(generator.uniform(60, 95), holes == 0, generator):
        axes = (int(generator.uniform(24, 42)), int(generator.uniform(24, 42)))
        cv2.ellipse(holes, (int(column), int(row)), axes, generator.uniform(0, 180), 0, 360, 255, -1)
    return cv2.GaussianBlur(holes, (0, 0), 1.5).astype(np.float32) / 255.0


def _cells(
    stain: np.ndarray, slide: Slide, textures: Textures, generator: np.random.Generator, mask: np.ndarray
) -> None:
    """Cytoplasm over what lies below, in the same colours for tumour and benign cells."""
    _fill(stain, step(mask, 0.35), slide.cytoplasm)
    grain = (mask > 0) * piece(textures.medium, generator)
    for plane, amount in zip(stain, (0.05, 0.10), strict=True):
        plane += amount * grain
    _tear(stain, textures, generator)
    np.clip(stain, 0.0, None, out=stain)


def _lymph_points(slide: Slide, where: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return _points(slide.lymph_spacing * generator.uniform(0.9, 1.25), where, generator)


def _points(spacing: float, where: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(n, 2) rows and columns of a shaken hexagonal grid, only where `where` holds and a stamp fits."""
    low, high = HALF_SIDE, CANVAS_SIDE - HALF_SIDE
    rows = np.arange(low - spacing, high + spacing, spacing * 0.87)
    columns = np.arange(low - spacing, high + spacing, spacing)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=2)
    grid[1::2, :, 1] += spacing / 2
    points = grid.reshape(-1, 2) + generator.uniform(0, spacing, 2)
    points += generator.normal(0, 0.17 * spacing, points.shape)
    inside = ((points >= HALF_SIDE) & (points < CANVAS_SIDE - HALF_SIDE)).all(axis=1)
    points = points[inside]
    cells = points.astype(int)
    return points[where[cells[:, 0], cells[:, 1]]]


def _lay(stain: np.ndarray, stamps: list[Stamp], points: np.ndarray, generator: np.random.Generator) -> None:
    """Lay a random stamp on each point."""
    _press(stain, stamps, points, generator.integers(len(stamps), size=len(points)))


def _press(stain: np.ndarray, stamps: list[Stamp], points: np.ndarray, choices: np.ndarray) -> None:
    for window, stamp in _windows(stamps, points, choices):
        target = stain[:, *window]
        target *= stamp.keep
        target += stamp.ink


def _windows(
    stamps: list[Stamp], points: np.ndarray, choices: np.ndarray
) -> Iterator[tuple[tuple[slice, slice], Stamp]]:
    """The part of the canvas below each stamp."""
    for (row, column), choice in zip(points.astype(int).tolist(), choices.tolist(), strict=True):
        stamp = stamps[choice]
        half = stamp.keep.shape[0] // 2
        yield (slice(row - half, row + half), slice(column - half, column + half)), stamp


def _fill(stain: np.ndarray, weight: np.ndarray, colour: tuple[float, float]) -> None:
    for plane, value in zip(stain, colour, strict=True):
        plane += weight * (np.float32(value) - plane)
