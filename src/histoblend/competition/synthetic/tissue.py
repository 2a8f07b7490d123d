"""Drawn tissue: maps of hematoxylin and eosin for one patch, and where in it the tumour lies.

A patch is composed on a canvas of twice its resolution with a margin, then averaged down: edges come out smooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from histoblend.competition.synthetic.nuclei import HALF_SIDE, Stamp
from histoblend.competition.synthetic.slides import GROUNDS, Slide

PATCH_SIDE = 96
CENTRE_SIDE = 32  # the label speaks of this middle square only
SCALE = 2  # canvas pixels per patch pixel
CANVAS_SIDE = SCALE * PATCH_SIDE + 2 * HALF_SIDE
MIDDLE = CANVAS_SIDE / 2
CENTRE_REACH = SCALE * CENTRE_SIDE / 2  # canvas pixels from the middle to the edge of the centre square

_OFFSETS = np.arange(CANVAS_SIDE, dtype=np.float32) + 0.5 - MIDDLE


@dataclass(frozen=True)
class Textures:
    """Fields of smooth noise, mean 0 and deviation 1, larger than the canvas: every patch cuts its own pieces."""

    coarse: np.ndarray  # (n, side, side) float32, bumps of about 25 patch pixels
    medium: np.ndarray  # bumps of about 8
    fine: np.ndarray  # bumps of about 2
    fibres: np.ndarray  # wavy strands along the rows


@dataclass(frozen=True)
class Canvas:
    """What is drawn so far."""

    stain: np.ndarray  # (2, CANVAS_SIDE, CANVAS_SIDE) float32: hematoxylin, eosin
    tumour: np.ndarray  # (CANVAS_SIDE, CANVAS_SIDE) bool: tumour nuclei and nests


def draw_textures(seed: int, fields: int = 6) -> Textures:
    """The noise all patches of one competition are cut from."""
    generator = np.random.default_rng([seed, 0])
    side = 2 * CANVAS_SIDE

    def smooth(along: float, across: float) -> np.ndarray:
        noise = generator.standard_normal((fields, side, side)).astype(np.float32)
        blurred = np.stack([cv2.GaussianBlur(field, (0, 0), along, sigmaY=across) for field in noise])
        return blurred / blurred.std(axis=(1, 2), keepdims=True)

    coarse, medium, fine, strands = smooth(22, 22), smooth(7, 7), smooth(1.8, 1.8), smooth(22, 1.7)
    rows, columns = np.indices((side, side)).astype(np.float32)
    wavy = [
        cv2.remap(strand, columns, rows + 9 * wave, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for strand, wave in zip(strands, coarse, strict=True)
    ]
    return Textures(coarse, medium, fine, np.stack(wavy))


def draw_ground(slide: Slide, textures: Textures, generator: np.random.Generator) -> Canvas:
    """Normal tissue of one of the slide's kinds, over the whole canvas."""
    kind = GROUNDS[int(generator.choice(len(GROUNDS), p=slide.ground_shares))]
    stain = _stroma(textures, generator)
    region = _piece(textures.coarse, generator) + generator.normal(0, 0.5)
    lymph = {"lymph": 9.0, "stroma": -9.0, "reactive": -0.9}.get(kind, 0.0) + region
    if kind == "fat":
        stain *= 1.0 - _vacuoles(generator)
    if kind == "edge":
        stain *= _step(region + generator.uniform(-0.8, 0.8), 8.0)
    _fill(stain, _step(lymph, 6.0), (0.10, 0.22))
    _tear(stain, textures, generator)
    tissue = stain[1] > 0.2
    _lay(
        stain, slide.spindles, _points(generator.uniform(38, 70), tissue & (lymph < 0), generator), generator
    )
    _lay(stain, slide.lymphocytes, _lymph_points(slide, tissue & (lymph > 0), generator), generator)
    stray = _points(generator.uniform(45, 90), tissue & (lymph < 0), generator)
    _lay(stain, slide.lymphocytes, stray, generator)
    canvas = Canvas(stain, np.zeros(stain.shape[1:], dtype=bool))
    if kind == "reactive":
        add_island(
            canvas, slide, textures, generator, _blob(_near(0, 20, generator), 150.0, textures, generator)
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
    """A tumour nest that reaches into the centre square, with a nucleus there, or one that stays out of it."""
    if in_centre:
        anchor = generator.uniform(-0.8 * CENTRE_REACH, 0.8 * CENTRE_REACH, 2)
        radius = float(generator.uniform(22, 110))
        mask = _blob(anchor + _near(0, 0.75 * radius, generator), radius, textures, generator)
        mask = np.maximum(mask, 14.0 - np.hypot(_OFFSETS[:, None] - anchor[0], _OFFSETS[None, :] - anchor[1]))
    else:
        radius = float(generator.uniform(40, 110))
        mask = _blob(_near(50, 90, generator), radius, textures, generator)
        anchor, mask = None, np.minimum(mask, _outside_centre(textures, generator))
    _cells(canvas.stain, slide, textures, generator, mask)
    points = _points(slide.nest_spacing, mask > 0, generator)
    if anchor is not None:
        points = np.concatenate([points, (anchor + MIDDLE)[None, :]])
    inked = _lay(canvas.stain, slide.tumour, points, generator, keep_out=anchor is None)
    canvas.tumour[...] |= inked | (mask > 0)


def benign_mask(textures: Textures, generator: np.random.Generator) -> np.ndarray:
    """Where a benign island lies: placed as tumour nests are, so that place and size tell nothing."""
    radius = float(generator.uniform(30, 110))
    return _blob(_near(0, 0.6 * radius, generator), radius, textures, generator)


def _stroma(textures: Textures, generator: np.random.Generator) -> np.ndarray:
    strands = _turned(textures.fibres, generator)
    thickness = generator.uniform(0.35, 0.75)
    eosin = thickness + 0.16 * strands + 0.08 * _piece(textures.medium, generator)
    hematoxylin = 0.07 + 0.03 * _piece(textures.medium, generator)
    return np.clip(np.stack([hematoxylin, eosin]), 0.02, None).astype(np.float32)


def _tear(stain: np.ndarray, textures: Textures, generator: np.random.Generator) -> None:
    """Small white clefts between the cells, in some patches many."""
    cleft = _piece(textures.medium, generator) + 0.12 * _piece(textures.fine, generator)
    stain *= 1.0 - 0.85 * _step(cleft - generator.uniform(1.0, 3.2), 2.0)


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
    _fill(stain, _step(mask, 0.35), slide.cytoplasm)
    grain = (mask > 0) * _piece(textures.medium, generator)
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


def _lay(
    stain: np.ndarray,
    stamps: list[Stamp],
    points: np.ndarray,
    generator: np.random.Generator,
    keep_out: bool = False,
) -> np.ndarray:
    """Lay a random stamp on each point; with `keep_out` none that would touch the centre square.

    Returns:
        (CANVAS_SIDE, CANVAS_SIDE) bool: the inked pixels.
    """
    inked = np.zeros(stain.shape[1:], dtype=bool)
    choices = generator.integers(len(stamps), size=len(points))
    flips = generator.integers(8, size=len(points))
    for (row, column), choice, flip in zip(points.astype(int), choices, flips, strict=True):
        stamp = stamps[choice]
        distance = max(abs(row - MIDDLE), abs(column - MIDDLE))
        if keep_out and distance < CENTRE_REACH + stamp.radius + SCALE:
            continue
        half = stamp.keep.shape[0] // 2
        window = (slice(row - half, row + half), slice(column - half, column + half))
        keep, ink = _flipped(stamp.keep, flip), _flipped(stamp.ink, flip)
        target = stain[:, *window]
        target *= keep
        target += ink
        inked[window] |= keep < 0.5
    return inked


def _flipped(picture: np.ndarray, flip: int) -> np.ndarray:
    """One of the eight orientations of (..., side, side) planes."""
    if flip & 1:
        picture = picture[..., ::-1, :]
    if flip & 2:
        picture = picture[..., ::-1]
    return picture.swapaxes(-1, -2) if flip & 4 else picture


def _blob(
    middle: np.ndarray, radius: float, textures: Textures, generator: np.random.Generator
) -> np.ndarray:
    """Distance-like field, positive inside an irregular blob; `middle` is relative to the canvas's middle."""
    distance = np.hypot(_OFFSETS[:, None] - middle[0], _OFFSETS[None, :] - middle[1])
    return radius - distance + min(0.25 * radius, 14.0) * _piece(textures.coarse, generator)


def _near(least: float, most: float, generator: np.random.Generator) -> np.ndarray:
    angle, distance = generator.uniform(0, 2 * np.pi), generator.uniform(least, most)
    return distance * np.array([np.sin(angle), np.cos(angle)])


def _outside_centre(textures: Textures, generator: np.random.Generator) -> np.ndarray:
    """Distance-like field, negative in a wobbling rounded square that holds the whole centre square."""
    distance = (_OFFSETS[:, None] ** 4 + _OFFSETS[None, :] ** 4) ** 0.25
    room = 1.2 * CENTRE_REACH + 1 + generator.gamma(1.5, 4.0)  # 2 ** 0.25 reaches the corners
    return distance - room - 7.0 * np.abs(_piece(textures.coarse, generator))


def _piece(fields: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random canvas-sized cut, in one of its eight orientations."""
    room = fields.shape[1] - CANVAS_SIDE
    field, row, column, flip = generator.integers([len(fields), room, room, 8])
    return _flipped(fields[field, row : row + CANVAS_SIDE, column : column + CANVAS_SIDE], flip)


def _turned(fields: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A cut under a random angle."""
    middle = fields.shape[1] / 2
    turn = cv2.getRotationMatrix2D((middle, middle), float(generator.uniform(0, 360)), 1.0)
    turn[:, 2] += MIDDLE - middle + generator.uniform(-40, 40, 2)
    field = fields[int(generator.integers(len(fields)))]
    size = (CANVAS_SIDE, CANVAS_SIDE)
    return cv2.warpAffine(field, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _step(field: np.ndarray, steepness: float) -> np.ndarray:
    """0 where `field` is negative, 1 where it is positive, smooth between."""
    return np.clip(0.5 + steepness * field, 0.0, 1.0).astype(np.float32)


def _fill(stain: np.ndarray, weight: np.ndarray, colour: tuple[float, float]) -> None:
    for plane, value in zip(stain, colour, strict=True):
        plane += weight * (np.float32(value) - plane)
