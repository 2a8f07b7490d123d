"""Mixup: one weight for image and target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histoblend.data.batches import Sampling, TrainingFeed
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.mixing import Mixture, drawn_mixture, mixed_images, mixed_targets
from histoblend.data.training_rows import TaughtPatches, TrainingRows

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)
MIXTURE = Mixture(np.array([3, 2, 0, 5, 4, 1]), np.array([1.0, 0.0, 0.25, 0.5, 0.7, 0.9]))


def test_every_pixel_is_blended_with_the_one_weight():
    found = mixed_images(IMAGES, MIXTURE)
    share = MIXTURE.shares[:, None, None, None]
    exact = share * IMAGES + (1 - share) * IMAGES[MIXTURE.partners]
    assert found.dtype == np.uint8 and found.shape == IMAGES.shape
    assert np.abs(found - exact).max() <= 0.5 + 1e-4
    np.testing.assert_array_equal(found[0], IMAGES[0])
    np.testing.assert_array_equal(found[1], IMAGES[2])
    np.testing.assert_array_equal(found[4], IMAGES[4])  # with itself


@pytest.mark.parametrize("outputs", [1, 3])
def test_targets_are_blended_as_the_images_are(outputs: int):
    targets = GENERATOR.random((6, outputs)).astype(np.float32)
    found, weights = mixed_targets(targets, None, MIXTURE)
    share = MIXTURE.shares[:, None]
    np.testing.assert_allclose(found, share * targets + (1 - share) * targets[MIXTURE.partners], rtol=1e-5)
    assert weights is None and found.dtype == np.float32


def test_the_loss_of_a_blend_is_the_weighted_sum_of_its_two():
    """Whatever the logit: patches of other weights, one of them with a soft target."""
    targets = np.array([[1.0], [0.0], [0.3]], np.float32)
    weights = np.array([1.0, 0.5, 2.0], np.float32)
    mixture = Mixture(np.array([1, 2, 0]), np.array([0.8, 0.4, 0.5]))
    logits = np.array([[2.0], [-1.0], [0.5]])

    def losses(of: np.ndarray) -> np.ndarray:
        return (of * np.log1p(np.exp(-logits)) + (1 - of) * np.log1p(np.exp(logits)))[:, 0]

    found, whole = mixed_targets(targets, weights, mixture)
    share = mixture.shares
    expected = share * weights * losses(targets)
    expected += (1 - share) * weights[mixture.partners] * losses(targets[mixture.partners])
    np.testing.assert_allclose(whole * losses(found), expected, rtol=1e-5)


def test_shares_follow_their_beta_and_every_patch_has_one_partner():
    shares = np.concatenate([drawn_mixture(0.4, 1, step, 32).shares for step in range(400)])
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.03)
    assert sorted(drawn_mixture(0.4, 1, 7, 32).partners) == list(range(32))


def test_a_mixture_follows_from_seed_and_step():
    once, again = drawn_mixture(0.2, 1, 5, 8), drawn_mixture(0.2, 1, 5, 8)
    np.testing.assert_array_equal(once.shares, again.shares)
    np.testing.assert_array_equal(once.partners, again.partners)
    for other in (drawn_mixture(0.2, 2, 5, 8), drawn_mixture(0.2, 1, 6, 8)):
        assert not np.array_equal(once.shares, other.shares)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> TrainingRows:
    """Patches of one grey level each: that of patch i is i."""
    folder = tmp_path_factory.mktemp("mixing")
    np.save(
        folder / "train.npy", np.repeat(np.arange(40, dtype=np.uint8), 12 * 12 * 3).reshape(40, 12, 12, 3)
    )
    return TrainingRows(str(folder / "train.npy"), np.arange(40), np.arange(40) % 2)


@pytest.mark.parametrize("balanced", [False, True])
def test_the_feed_blends_what_it_would_have_given(source: TrainingRows, balanced: bool):
    plain = TrainingFeed(source, Sampling(3, 8, None, balanced), [], FeedWorkers(0))
    feed = TrainingFeed(source, replace(plain.sampling, mixup=0.4), [], FeedWorkers(0))
    for step in (0, 9, 4):
        images, targets, weights = feed.batch(step)
        mixture = drawn_mixture(0.4, 3, step, 8)
        before, labels, _ = plain.batch(step)
        np.testing.assert_array_equal(images, mixed_images(before, mixture))
        np.testing.assert_array_equal(targets, mixed_targets(labels, None, mixture)[0])
        assert weights is None
    assert not np.array_equal(images, before)


def test_taught_patches_keep_their_weight_in_a_blend(source: TrainingRows, tmp_path: Path):
    """A labelled patch (weight 1) and a taught one (weight .25): grey levels tell who is in a blend."""
    np.save(tmp_path / "test.npy", np.full((40, 12, 12, 3), 255, np.uint8))
    taught = TaughtPatches(str(tmp_path / "test.npy"), np.full((40, 1), 0.5, np.float32), 0.25)
    rows = TrainingRows(source.images_path, np.arange(80), np.r_[source.labels, np.ones(40, int)], 2, taught)
    feed = TrainingFeed(rows, Sampling(0, 16, mixup=1.0), [], FeedWorkers(0))
    images, _, weights = feed.batch(2)
    bright = images.mean(axis=(1, 2, 3)) / 255  # about the share of taught patches
    assert weights is not None and 0.25 <= weights.min() < weights.max() <= 1
    np.testing.assert_allclose(weights, 1 - 0.75 * bright, atol=0.75 * 40 / 255)
