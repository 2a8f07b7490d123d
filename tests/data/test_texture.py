"""Texture statistics: known answers, and nothing that changes when a patch is turned or mirrored."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from histoblend.data.stain import intensities
from histoblend.data.texture import (
    FEATURE_NAMES,
    _cooccurrence_matrix,
    _disc,
    texture_features,
)


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, size=(4, 96, 96, 3), dtype=np.uint8)
    return np.stack(
        [cv2.normalize(cv2.GaussianBlur(n, (0, 0), 2.5), None, 40, 240, cv2.NORM_MINMAX) for n in noise]
    )


def with_nuclei(radius: int, spacing: int) -> np.ndarray:
    """Haematoxylin discs on an eosin ground, as uint8 (1, 96, 96, 3)."""
    stains = np.zeros((96, 96, 3), dtype=np.float32)
    stains[..., 1] = 0.4
    for row in range(spacing // 2, 96, spacing):
        for column in range(spacing // 2, 96, spacing):
            mask = np.zeros((96, 96), dtype=np.uint8)
            cv2.circle(mask, (column, row), radius, 1, -1)
            stains[mask > 0] = (1.6, 0.2, 0.0)
    return intensities(stains)[None]


def feature(images: np.ndarray, name: str) -> np.ndarray:
    return texture_features(images)[:, FEATURE_NAMES.index(name)]


def test_names_are_distinct_and_fit_the_columns(patches: np.ndarray) -> None:
    features = texture_features(patches)
    assert features.shape == (4, len(FEATURE_NAMES))
    assert features.dtype == np.float32
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert texture_features(patches[:0]).shape == (0, len(FEATURE_NAMES))


def test_no_statistic_changes_in_any_of_the_eight_views(patches: np.ndarray) -> None:
    expected = texture_features(patches)
    for turns in range(4):
        turned = np.rot90(patches, turns, axes=(1, 2))
        for view in (turned, turned[:, :, ::-1]):
            found = texture_features(np.ascontiguousarray(view))
            wrong = np.abs(found - expected) > 1e-4 * (1 + np.abs(expected))
            assert not wrong.any(), [FEATURE_NAMES[column] for column in np.flatnonzero(wrong.any(axis=0))]


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_patches_give_finite_numbers(level: int) -> None:
    assert np.isfinite(texture_features(np.full((1, 96, 96, 3), level, dtype=np.uint8))).all()


def test_the_chunk_does_not_matter(patches: np.ndarray) -> None:
    assert np.array_equal(
        np.concatenate([texture_features(p[None]) for p in patches]), texture_features(patches)
    )


def test_what_lies_outside_the_centre_leaves_the_centres_colours_alone(patches: np.ndarray) -> None:
    changed = patches.copy()
    changed[:, :20] = 255 - changed[:, :20]
    before, after = texture_features(patches), texture_features(changed)
    for column, name in enumerate(FEATURE_NAMES):
        if name.startswith(("centre_rgb", "centre_hed", "centre_hsv")):
            assert np.array_equal(before[:, column], after[:, column])
        if name == "patch_rgb_0_mean":
            assert not np.array_equal(before[:, column], after[:, column])


def test_colour_statistics_of_a_known_patch() -> None:
    image = np.full((1, 96, 96, 3), 200, dtype=np.uint8)
    image[:, 32:64, 32:64] = (80, 90, 100)
    assert feature(image, "centre_rgb_0_mean") == pytest.approx([80])
    assert feature(image, "patch_rgb_2_q0.5") == pytest.approx([200])
    assert feature(image, "contrast_rgb_1") == pytest.approx([90 - (200 * 8 + 90) / 9], abs=1e-3)


def test_nuclei_are_counted_and_measured() -> None:
    image = with_nuclei(radius=5, spacing=24)
    assert feature(image, "patch_nuclei_count") == [16]
    assert feature(image, "centre_nuclei_count") == [4]
    assert feature(image, "patch_nuclei_area_mean") == pytest.approx([np.pi * 5**2], rel=0.1)
    assert feature(image, "patch_nuclei_area_std") == pytest.approx([0], abs=1)


def test_granulometry_tells_large_nuclei_from_small_ones() -> None:
    small, large = with_nuclei(radius=3, spacing=12), with_nuclei(radius=7, spacing=24)
    taken_small = sum(feature(small, f"patch_opening{radius}") for radius in (1, 2, 3, 4))
    taken_large = sum(feature(large, f"patch_opening{radius}") for radius in (6, 8))
    assert taken_small > 5 * sum(feature(small, f"patch_opening{radius}") for radius in (6, 8))
    assert taken_large > 2 * sum(feature(large, f"patch_opening{radius}") for radius in (1, 2, 3, 4))


def test_fibres_are_coherent_and_round_cells_are_not() -> None:
    stripes = np.full((1, 96, 96, 3), 220, dtype=np.uint8)
    stripes[:, :, ::6] = stripes[:, :, 1::6] = 90
    assert feature(stripes, "patch_coherence2") > 0.95
    assert feature(with_nuclei(radius=4, spacing=16), "patch_coherence5") < 0.5


def test_cooccurrences_are_a_symmetric_distribution_with_the_known_pairs() -> None:
    checkers = np.indices((8, 8)).sum(axis=0) % 2
    matrix = _cooccurrence_matrix(checkers.astype(np.intp), 1)
    assert matrix.sum() == pytest.approx(1)
    assert np.array_equal(matrix, matrix.T)
    beside, across = 2 * 8 * 7, 2 * 7 * 7  # neighbours along rows and columns differ, along diagonals agree
    assert matrix[0, 1] + matrix[1, 0] == pytest.approx(beside / (beside + across))


def test_discs_are_mapped_onto_themselves() -> None:
    for radius in range(1, 9):
        disc = _disc(radius)
        assert np.array_equal(disc, disc.T)
        assert np.array_equal(disc, disc[::-1])
        assert abs(disc.sum() / (np.pi * (radius + 0.5) ** 2) - 1) < 0.3


def test_where_in_memory_a_patch_lies_does_not_matter() -> None:
    """OpenCV's magnitude rounds otherwise by alignment: a yardstick that changes from call to call is none."""
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    first = texture_features(image[None])
    for offset in range(1, 64, 7):
        buffer = np.empty(image.nbytes + 64, np.uint8)
        moved = buffer[offset : offset + image.nbytes].reshape(image.shape)
        moved[...] = image
        assert np.array_equal(texture_features(moved[None]), first)
