"""Perceptual hashes: what they must not see, and where there is nothing to see."""

from __future__ import annotations

import numpy as np

from histoblend.data.perceptual_hash import perceptual_hashes, view_hashes


def test_hash_ignores_brightness_and_is_nothing_where_nothing_is() -> None:
    images = np.random.default_rng(0).integers(0, 128, (5, 96, 96, 3), dtype=np.uint8)
    assert np.array_equal(perceptual_hashes(images), perceptual_hashes(images + 40))
    assert list(perceptual_hashes(np.full((2, 96, 96, 3), 255, np.uint8))) == [0, 0]
    assert np.array_equal(view_hashes(images)[:, 0], perceptual_hashes(images))
