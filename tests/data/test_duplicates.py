"""Near duplicates: copies are found whatever was done to them, patches that only look alike are not joined."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd
import pytest

from histoblend.data.duplicates import (
    _candidates,
    near_duplicate_groups,
    near_groups,
    near_pairs,
    near_pairs_between,
    perceptual_hashes,
    view_hashes,
)


def drawn_tissue(count: int, seed: int = 0, side: int = 96) -> np.ndarray:
    """Pink ground with dark discs in random places: one slide's patches, alike in colour and texture."""
    generator = np.random.default_rng(seed)
    images = np.empty((count, side, side, 3), np.uint8)
    for image in images:
        image[:] = (225, 170, 205)
        for _ in range(25):
            x, y, radius = [*generator.integers(0, side, 2).tolist(), int(generator.integers(2, 6))]
            cv2.circle(image, (x, y), radius, (90, 50, 130), -1)
        image[:] = np.clip(image + generator.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    return images


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1))


def shifted(image: np.ndarray, across: float, down: float) -> np.ndarray:
    move = np.array([[1, 0, across], [0, 1, down]], np.float32)
    return cv2.warpAffine(image, move, image.shape[:2], borderMode=cv2.BORDER_REFLECT)


def brighter(image: np.ndarray, levels: int) -> np.ndarray:
    return np.clip(image.astype(int) + levels, 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the same": lambda image: image,
    "recompressed": lambda image: compressed(image, 50),
    "brighter": lambda image: brighter(image, 10),
    "darker": lambda image: brighter(image, -10),
    "shifted by one": lambda image: shifted(image, 1, -1),
    "shifted by two": lambda image: shifted(image, 2, 2),
    "shifted and recompressed": lambda image: compressed(shifted(image, 0, 2), 60),
    "turned": np.rot90,
    "mirrored": lambda image: image[:, ::-1],
    "transposed and recompressed": lambda image: compressed(np.ascontiguousarray(image.swapaxes(0, 1)), 60),
    "resized": lambda image: cv2.resize(cv2.resize(image, (72, 72), interpolation=cv2.INTER_AREA), (96, 96)),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_and_nothing_else(name: str) -> None:
    images = drawn_tissue(40)
    copies = np.stack([COPIES[name](image) for image in images[::4]])
    found = near_pairs_between(images, copies)
    assert sorted(zip(found["first"], found["second"], strict=True)) == [(4 * k, k) for k in range(10)]
    assert list(found["turned"].unique()) == [name in ("turned", "mirrored", "transposed and recompressed")]


def test_patches_of_one_slide_are_not_joined() -> None:
    images = drawn_tissue(300)
    assert near_pairs(images).empty
    assert len(set(near_duplicate_groups(images))) == 300


def test_blank_and_homogeneous_patches_do_not_chain() -> None:
    generator = np.random.default_rng(0)
    glass = np.clip(generator.normal(235, 1, (60, 96, 96, 3)), 0, 255).astype(np.uint8)
    stroma = np.clip(generator.normal((220, 150, 190), 8, (60, 96, 96, 3)), 0, 255).astype(np.uint8)
    flat = np.full((30, 96, 96, 3), 255, np.uint8)
    assert near_pairs(np.concatenate([glass, stroma, flat])).empty


def test_the_same_shape_on_other_ground_is_no_copy() -> None:
    """A disc in the centre of noise, over and over: alike at its rim only."""
    generator = np.random.default_rng(0)
    images = np.clip(generator.normal(180, 12, (40, 96, 96, 3)), 0, 255).astype(np.uint8)
    for image in images:
        cv2.circle(image, (48, 48), 11, (90, 40, 120), -1)
    assert near_pairs(images).empty


def test_pairs_name_rows_and_groups_join_through_others() -> None:
    images = drawn_tissue(12)
    images[3], images[9], images[7] = compressed(images[0], 70), shifted(images[0], 1, 1), images[5]
    pairs = near_pairs(images)
    assert {(0, 3), (0, 9), (5, 7)} <= set(zip(pairs["first"], pairs["second"], strict=True))
    groups = near_duplicate_groups(images)
    assert groups.dtype == np.int64
    assert groups[0] == groups[3] == groups[9] and groups[5] == groups[7] != groups[0]
    assert len(set(groups)) == 9
    assert list(groups[:3]) == [0, 1, 2]


def test_rows_that_are_left_out_are_left_out() -> None:
    images = drawn_tissue(10)
    images[4] = images[6] = images[1]
    pairs = near_pairs(images, rows=np.array([6, 1, 2, 3]))
    assert pairs[["first", "second"]].to_numpy().tolist() == [[1, 6]]


@pytest.mark.parametrize("side", [32, 64, 128])
def test_other_sides(side: int) -> None:
    images = drawn_tissue(30, side=side)
    copies = np.stack([compressed(image, 80) for image in images])
    found = near_pairs_between(images, copies)
    assert list(found["first"]) == list(found["second"])
    assert len(found) >= 29


def test_hash_ignores_brightness_and_is_nothing_where_nothing_is() -> None:
    images = drawn_tissue(5) // 2
    assert np.array_equal(perceptual_hashes(images), perceptual_hashes(images + 40))
    assert list(perceptual_hashes(np.full((2, 96, 96, 3), 255, np.uint8))) == [0, 0]
    assert np.array_equal(view_hashes(images)[:, 0], perceptual_hashes(images))


def test_candidates_are_all_pairs_within_seven_bits() -> None:
    """Against the comparison of all with all, which banding saves."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(1, 2**63, 400, dtype=np.uint64)
    for row in range(0, 200, 2):  # neighbours at 0 to 9 bits
        flipped = generator.choice(64, row // 2 % 10, replace=False)
        hashes[row + 1] = hashes[row] ^ np.bitwise_or.reduce(
            np.uint64(1) << flipped.astype(np.uint64), initial=0
        )
    first, second = np.triu_indices(400, 1)
    near = np.bitwise_count(hashes[first] ^ hashes[second]) <= 7
    found = _candidates(np.repeat(hashes[:, None], 12, axis=1), hashes, within=True)
    plain = found[found["turn"] == 0]
    assert set(zip(plain["first"], plain["second"], strict=True)) == set(
        zip(first[near], second[near], strict=True)
    )


def test_searching_does_not_compare_all_with_all() -> None:
    """Ten thousand patches are fifty million pairs and twelve views; banding meets a thousandth of them."""
    views = np.random.default_rng(0).integers(1, 2**63, (10_000, 12), dtype=np.uint64)
    start = time.perf_counter()
    _candidates(views, views[:, 0], within=True)
    assert time.perf_counter() - start < 10


def test_nothing_in_nothing_out() -> None:
    nothing = np.empty((0, 96, 96, 3), np.uint8)
    assert near_pairs(nothing).empty and near_pairs_between(drawn_tissue(2), nothing).empty
    assert len(near_duplicate_groups(nothing)) == 0
    assert list(near_groups(3, pd.DataFrame({"first": [0], "second": [2]}))) == [0, 1, 0]
    assert np.array_equal(near_groups(2, near_pairs(drawn_tissue(2))), [0, 1])
