"""Stains: deconvolution and its inverse, statistics that follow the slide, clusters that find drawn slides again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from histoblend.data.stain import (
    OD_FROM_HED,
    STATISTICS,
    cluster_stains,
    intensities,
    optical_density,
    stain_concentrations,
    stain_statistics,
)

SLIDES, PER_SLIDE = 6, 30


def drawn_patches() -> tuple[np.ndarray, np.ndarray]:
    """Patches of six slides that differ in their two stain colours; tissue and its amount vary patch by patch."""
    generator = np.random.default_rng(0)
    images, slides = [], []
    for slide in range(SLIDES):
        stains = OD_FROM_HED[:2] + generator.normal(0, 0.12, size=(2, 3))
        for _ in range(PER_SLIDE):
            fields = [cv2.GaussianBlur(generator.normal(size=(96, 96)), (0, 0), s) for s in (3, 8)]
            amounts = np.stack(
                [np.clip(f / f.std() + generator.normal(0.5, 0.4), 0, None) for f in fields], axis=-1
            )
            density = amounts @ np.clip(stains, 0.02, None) * (0.7, 0.5)[slide % 2]
            images.append(np.clip(245 * np.exp(-density) + generator.normal(0, 2, (96, 96, 3)), 0, 255))
            slides.append(slide)
    return np.asarray(images).astype(np.uint8), np.asarray(slides)


def blanks() -> np.ndarray:
    return np.stack([np.full((96, 96, 3), level, dtype=np.uint8) for level in (0, 255, 128)])


def test_density_of_white_is_nothing_and_of_black_is_finite() -> None:
    density = optical_density(np.array([[0, 127, 255]], dtype=np.uint8))
    assert density == pytest.approx(np.log([[256.0, 2.0, 1.0]]), abs=1e-6)
    assert density.dtype == np.float32


def test_a_pure_stain_is_found_as_itself() -> None:
    for stain in range(3):
        colour = 256 * np.exp(-1.5 * OD_FROM_HED[stain]) - 1
        image = np.broadcast_to(np.rint(colour).astype(np.uint8), (4, 4, 3))
        expected = np.where(np.arange(3) == stain, 1.5, 0.0)
        assert stain_concentrations(image)[0, 0] == pytest.approx(expected, abs=0.03)


def test_concentrations_lead_back_to_every_colour() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(2, 96, 96, 3), dtype=np.uint8)
    assert np.array_equal(intensities(stain_concentrations(image)), image)


def test_statistics_have_their_names_and_are_finite_on_blank_patches() -> None:
    statistics = stain_statistics(blanks())
    assert statistics.shape == (3, len(STATISTICS))
    assert statistics.dtype == np.float32
    assert np.isfinite(statistics).all()


def test_statistics_do_not_depend_on_the_chunk() -> None:
    images, _ = drawn_patches()
    parts = [stain_statistics(chunk) for chunk in (images[:1], images[1:9], images[9:9], images[9:20])]
    assert np.array_equal(np.concatenate(parts), stain_statistics(images[:20]))


def test_hues_leave_the_strength_of_stain_alone() -> None:
    """The same tissue cut half as thick again: density follows, the shares of the channels hardly move."""
    images, _ = drawn_patches()
    thick = np.rint(((images[:10].astype(float) + 1) / 256) ** 1.5 * 256 - 1).astype(np.uint8)
    before, after, spread = (
        stain_statistics(images[:10]),
        stain_statistics(thick),
        stain_statistics(images).std(axis=0),
    )
    hues = [STATISTICS.index(name) for name in ("blue_share_50", "dark_red_share", "dark_blue_share")]
    assert (np.abs(after - before)[:, hues] < 0.5 * spread[hues]).all()
    density = STATISTICS.index("dark_density")
    assert after[:, density] == pytest.approx(1.5 * before[:, density], rel=0.1)


def test_clusters_agree_with_the_slides_they_were_not_shown() -> None:
    images, slides = drawn_patches()
    found = cluster_stains(stain_statistics(images), SLIDES, seed=0)
    assert adjusted_rand_score(slides, found) > 0.5


def test_clusters_are_numbered_without_gap_and_repeat() -> None:
    statistics = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    found = cluster_stains(statistics, 8, seed=3)
    assert found.dtype == np.int64
    assert set(found) == set(range(found.max() + 1))
    assert np.array_equal(found, cluster_stains(statistics, 8, seed=3))


def test_a_unit_of_measurement_does_not_move_the_clusters() -> None:
    statistics = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    scaled = statistics * np.float32([1, 1024, 1]) + np.float32([0, 0, 8])
    assert adjusted_rand_score(cluster_stains(statistics, 5, 0), cluster_stains(scaled, 5, 0)) > 0.95


@pytest.mark.parametrize("rows", [1, 3])
def test_fewer_patches_than_clusters_are_no_fault(rows: int) -> None:
    statistics = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    assert len(set(cluster_stains(statistics, 10, seed=0))) == rows


def test_alike_patches_share_a_cluster() -> None:
    found = cluster_stains(stain_statistics(np.repeat(blanks(), 20, axis=0)), 10, seed=0)
    for place in range(3):
        assert len(set(found[20 * place : 20 * place + 20])) == 1
