"""Augmentations: pure functions of (images, seed), exact where they promise it, and refused when misspelt."""

from __future__ import annotations

import multiprocessing
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import cv2
import numpy as np
import pytest

from histoblend.data.augmentations import PRESETS, build_augmenter, resolve_augmentation
from histoblend.data.custom_transforms import CUSTOM, centre_safe_dropout, stain_jitter
from histoblend.errors import ConfigRefusal

CENTRE = slice(32, 64)


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    """Six smooth random patches, write-protected as a memory map would be."""
    noise = np.random.default_rng(3).integers(0, 256, size=(6, 96, 96, 3), dtype=np.uint8)
    images = np.stack([cv2.GaussianBlur(each, (0, 0), 2.0) for each in noise])
    images.flags.writeable = False
    return images


def augment(images: np.ndarray, spec: str | list[dict[str, Any]], seed: int) -> np.ndarray:
    return build_augmenter(resolve_augmentation(spec)).augment_batch(images, seed)


def the_eight_views(image: np.ndarray) -> list[bytes]:
    turned = [np.rot90(image, turns) for turns in range(4)]
    return [view.tobytes() for each in turned for view in (each, each[:, ::-1])]


def test_none_gives_an_equal_array_that_does_not_alias(patches: np.ndarray) -> None:
    result = augment(patches, "none", 0)
    assert np.array_equal(result, patches)
    assert not np.shares_memory(result, patches)


def test_light_gives_each_of_the_eight_views_and_nothing_else(patches: np.ndarray) -> None:
    views = the_eight_views(patches[0])
    batch = np.repeat(patches[:1], 128, axis=0)
    seen = {views.index(each.tobytes()) for each in augment(batch, "light", 0)}
    assert seen == set(range(8))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_keeps_shape_type_and_input(patches: np.ndarray, preset: str) -> None:
    before = patches.copy()
    for seed in range(8):
        result = augment(patches, preset, seed)
        assert result.shape == patches.shape
        assert result.dtype == np.uint8
        assert not np.shares_memory(result, patches)
    assert np.array_equal(patches, before)


@pytest.mark.parametrize("preset", ["light", "medium", "heavy"])
def test_the_seed_decides_every_byte_whatever_happened_before(patches: np.ndarray, preset: str) -> None:
    used, fresh = (build_augmenter(resolve_augmentation(preset)) for _ in range(2))
    expected = fresh.augment_batch(patches, 7)
    used.augment_batch(patches[:3], 123)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is what must not matter
    cv2.setRNGSeed(1)
    assert np.array_equal(used.augment_batch(patches, 7), expected)
    assert np.array_equal(used.augment_batch(patches, 7), expected)
    assert not np.array_equal(used.augment_batch(patches, 8), expected)


def test_global_generators_are_left_alone(patches: np.ndarray) -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    augment(patches, "heavy", 0)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_a_spawned_process_gives_the_same_bytes(patches: np.ndarray) -> None:
    augmenter = build_augmenter(resolve_augmentation("heavy"))
    expected = augmenter.augment_batch(patches, 11)  # the built pipeline must not hinder the pickling
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(augmenter.augment_batch, (patches, 11))
    assert np.array_equal(result, expected)


def test_a_pickled_augmenter_keeps_its_centre(patches: np.ndarray) -> None:
    whole = [{"name": "CentreSafeDropout", "holes": [40, 40], "size": [20, 20], "margin": 0, "p": 1.0}]
    augmenter = pickle.loads(pickle.dumps(build_augmenter(whole, centre=64)))
    for result, image in zip(augmenter.augment_batch(patches, 0), patches, strict=True):
        assert np.array_equal(result[16:80, 16:80], image[16:80, 16:80])
        assert not np.array_equal(result, image)


def test_every_image_of_a_batch_has_its_own_draw(patches: np.ndarray) -> None:
    batch = np.repeat(patches[:1], 16, axis=0)
    assert len({each.tobytes() for each in augment(batch, "heavy", 0)}) == 16


def test_transforms_draw_independently_of_each_other() -> None:
    """albumentations' own seeding gives all transforms one stream: both of these, or neither."""
    gray = np.full((1, 96, 96, 3), 128, dtype=np.uint8)
    limits = {"brightness_limit": [0.1, 0.1], "contrast_limit": [0, 0]}
    brighter = {"name": "RandomBrightnessContrast", **limits, "p": 0.5}
    augmenter = build_augmenter(resolve_augmentation([brighter, brighter]))
    levels = [int(augmenter.augment_batch(gray, seed)[0, 0, 0, 0]) for seed in range(200)]
    once = sum(128 < level < 178 for level in levels)
    assert 70 <= once <= 130


def test_stain_jitter_of_zero_strength_is_exact() -> None:
    every_level = np.random.default_rng(0).permutation(np.arange(96 * 96 * 3) % 256)
    image = every_level.astype(np.uint8).reshape(96, 96, 3)
    for seed in range(3):
        result = stain_jitter(image, np.random.default_rng(seed), scale=(1.0, 1.0), shift=(0.0, 0.0))
        assert np.array_equal(result, image)


def test_stain_jitter_scales_the_density_of_a_pure_stain() -> None:
    """Twice the concentrations are twice the density: intensity as a fraction of white is squared."""
    image = np.full((4, 4, 3), (150, 90, 140), dtype=np.uint8)
    result = stain_jitter(image, np.random.default_rng(0), scale=(2.0, 2.0), shift=(0.0, 0.0))
    expected = ((image.astype(float) + 1) / 256) ** 2 * 256 - 1
    assert np.abs(result - expected).max() <= 0.51


def test_stain_jitter_shift_darkens_all_channels_evenly_with_the_stains() -> None:
    image = np.full((4, 4, 3), 200, dtype=np.uint8)
    result = stain_jitter(image, np.random.default_rng(0), scale=(1.0, 1.0), shift=(0.1, 0.1))
    assert (result < image).all()


@pytest.mark.parametrize("centre", [32, 48])
def test_dropout_never_touches_the_centre_and_does_paint(patches: np.ndarray, centre: int) -> None:
    image, kept = patches[0], slice((96 - centre) // 2, (96 + centre) // 2)
    painted = 0
    for seed in range(300):
        result = centre_safe_dropout(image, np.random.default_rng(seed), (1, 6), (8, 40), centre, margin=0)
        assert np.array_equal(result[kept, kept], image[kept, kept])
        painted += not np.array_equal(result, image)
    assert painted > 250


def test_heavy_keeps_the_centre_where_it_is() -> None:
    """The geometric part of `heavy` moves a mark in the middle by at most five pixels."""
    names = {"Affine", "OneOf"}
    geometric = [deepcopy(each) for each in PRESETS["heavy"] if each["name"] in names][:2]
    for each in geometric:
        each["p"] = 1.0
    image = np.zeros((1, 96, 96, 3), dtype=np.uint8)
    image[0, 46:50, 46:50] = 255
    augmenter = build_augmenter(resolve_augmentation(geometric))
    for seed in range(100):
        rows, columns = np.nonzero(augmenter.augment_batch(image, seed)[0, ..., 0] > 60)
        assert np.hypot(rows.mean() - 47.5, columns.mean() - 47.5) < 5


def test_a_list_stands_in_place_of_a_preset(patches: np.ndarray) -> None:
    assert np.array_equal(augment(patches, "heavy", 4), augment(patches, deepcopy(PRESETS["heavy"]), 4))


def test_resolving_does_not_hand_out_the_preset_itself() -> None:
    resolve_augmentation("medium")[1]["p"] = 0.9
    assert resolve_augmentation("medium")[1]["p"] != 0.9


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("heavvy", "heavy"),
        ([{"name": "Afine"}], "Affine"),
        ([{"name": "stainjitter"}], "StainJitter"),
        ([{"name": "Affine", "rotat": 3}], "rotate"),
        ([{"name": "CentreSafeDropout", "hole": [1, 2]}], "holes"),
        ([{"name": "OneOf", "transforms": [{"name": "D5"}]}], "D4"),
        ([{"name": "OneOf", "transfroms": [{"name": "D4"}]}], "transforms"),
        ([{"name": "OneOf", "transforms": []}], "at least one"),
        ([{"name": "OneOf", "transforms": [{"name": "D4"}], "p": 3}], "0 to 1"),
        ([{"name": "Affine", "rotate": "much"}], "rotate='much'"),
        ([{"name": "StainJitter", "scale": 3}], "scale=3"),
        ([{"name": "D4", "p": 2}], "p=2"),
        ([{"name": "Normalize"}], "float32"),
        ([{"name": "RandomCrop", "height": 64, "width": 64}], "(64, 64, 3)"),
        (["D4"], "a mapping with a name"),
        (3, "a list of transforms"),
    ],
)
def test_what_cannot_work_is_refused_with_the_nearest_name(spec: Any, words: str) -> None:
    with pytest.raises(ConfigRefusal) as refusal:
        resolve_augmentation(spec)
    assert words in str(refusal.value)


@pytest.mark.parametrize("name", CUSTOM)
def test_a_custom_transform_works_by_its_name_alone(patches: np.ndarray, name: str) -> None:
    assert not np.array_equal(augment(patches, [{"name": name, "p": 1.0}], 0), patches)


def test_two_threads_draw_apart() -> None:
    augmenter = build_augmenter(resolve_augmentation("heavy"))
    images = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
    alone = [augmenter.augment_batch(images, seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda seed: augmenter.augment_batch(images, seed), range(24)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
