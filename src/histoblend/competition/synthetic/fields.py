"""Fields over a patch's canvas: smooth noise, and distance-like ones that say where a region lies."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from histoblend.competition.synthetic.nuclei import HALF_SIDE, oriented

PATCH_SIDE = 96
CENTRE_SIDE = 32  # the label speaks of this middle square only
SCALE = 2  # canvas pixels per patch pixel
CANVAS_SIDE = SCALE * PATCH_SIDE + 2 * HALF_SIDE
MIDDLE = CANVAS_SIDE / 2
CENTRE_REACH = SCALE * CENTRE_SIDE / 2  # canvas pixels from the middle to the edge of the centre square

_OFFSETS = np.arange(CANVAS_SIDE, dtype=np.float32) + 0.5 - MIDDLE


@dataclass(frozen=True)
class Textures:
    """Fields of smooth noise, mean 0, deviation 1, larger than the canvas: every patch cuts its own pieces."""

    coarse: np.ndarray  # (n, side, side) float32, bumps of about 25 patch pixels
    medium: np.ndarray  # bumps of about 8
    fine: np.ndarray  # bumps of about 2
    fibres: np.ndarray  # wavy strands along the rows


def draw_textures(seed: int, fields: int = 4) -> Textures:
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


def blob(middle: np.ndarray, radius: float, textures: Textures, generator: np.random.Generator) -> np.ndarray:
    """Distance-like field, positive inside an irregular blob; `middle` is relative to the canvas's middle."""
    return radius - distance(middle) + min(0.25 * radius, 14.0) * piece(textures.coarse, generator)


def distance(point: np.ndarray) -> np.ndarray:
    """Canvas pixels from `point`, which is relative to the canvas's middle."""
    row, column = point.tolist()
    return np.sqrt((_OFFSETS[:, None] - row) ** 2 + (_OFFSETS[None, :] - column) ** 2)


def near(least: float, most: float, generator: np.random.Generator) -> np.ndarray:
    angle, reach = generator.uniform(0, 2 * np.pi), generator.uniform(least, most)
    return reach * np.array([np.sin(angle), np.cos(angle)])


def outside_centre(textures: Textures, generator: np.random.Generator) -> np.ndarray:
    """Distance-like field, negative in a wobbling rounded square that holds the whole centre square."""
    rounded = (_OFFSETS[:, None] ** 4 + _OFFSETS[None, :] ** 4) ** 0.25
    room = 1.2 * CENTRE_REACH + 1 + generator.gamma(1.5, 4.0)  # 2 ** 0.25 reaches the corners
    return rounded - room - 7.0 * np.abs(piece(textures.coarse, generator))


def piece(fields: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random canvas-sized cut, mirrored or not."""
    room = fields.shape[1] - CANVAS_SIDE
    field, row, column, flip = generator.integers([len(fields), room, room, 4])
    return oriented(fields[field, row : row + CANVAS_SIDE, column : column + CANVAS_SIDE], flip)


def turned(fields: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A cut under a random angle."""
    middle = fields.shape[1] / 2
    turn = cv2.getRotationMatrix2D((middle, middle), float(generator.uniform(0, 360)), 1.0)
    turn[:, 2] += MIDDLE - middle + generator.uniform(-40, 40, 2)
    field = fields[int(generator.integers(len(fields)))]
    size = (CANVAS_SIDE, CANVAS_SIDE)
    return cv2.warpAffine(field, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def step(field: np.ndarray, steepness: float) -> np.ndarray:
    """0 where `field` is negative, 1 where it is positive, smooth between."""
    return np.clip(0.5 + steepness * field, 0.0, 1.0).astype(np.float32)
