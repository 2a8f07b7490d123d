"""Near duplicates: copies are found whatever was done to them, patches that only look alike are not joined."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from histoblend.data.duplicates import MOST_COPIES, near_groups
from histoblend.data.near_duplicates import near_pairs, near_pairs_between


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
    groups = near_groups(len(images), pairs).number
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


def test_nothing_in_nothing_out() -> None:
    nothing = np.empty((0, 96, 96, 3), np.uint8)
    assert near_pairs(nothing).empty and near_pairs_between(drawn_tissue(2), nothing).empty
    assert list(near_groups(2, near_pairs(drawn_tissue(2))).number) == [0, 1]


def augmented(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """As data sets are enlarged before they are published: turned, mirrored, brightened, recompressed."""
    view = np.rot90(image, generator.integers(4))[:, :: generator.choice([-1, 1])]
    return compressed(
        brighter(np.ascontiguousarray(view), int(generator.integers(-10, 11))),
        int(generator.integers(30, 95)),
    )


def test_sixty_copies_of_a_real_patch_stay_together(hcd_mini: Path) -> None:
    paths = sorted((hcd_mini / "train").iterdir())[:41]
    patches = np.stack([cv2.imread(str(path)) for path in paths])
    generator = np.random.default_rng(0)
    copies = [augmented(patches[0], generator) for _ in range(60)]
    groups = near_groups(101, near_pairs(np.concatenate([patches, copies])))
    assert len(set(groups.number[[0, *range(41, 101)]])) == 1
    assert len(set(groups.number)) == 41 and not groups.parted.any()


def test_digits_that_look_alike_are_parted() -> None:
    """At .8 125 of them form one chain, and 74 another."""
    small = load_digits().images
    pictures = np.stack([cv2.resize((one * 255 / 16).astype(np.uint8), (32, 32)) for one in small])
    groups = near_groups(len(pictures), near_pairs(np.repeat(pictures[..., None], 3, axis=3)))
    assert 100 < groups.parted.sum() < 300
    assert np.bincount(groups.number[groups.parted]).max() < 10
    assert np.bincount(groups.number).max() <= MOST_COPIES


def test_pictures_of_another_colour_are_no_copies() -> None:
    """The same drawing in another tint is another car; a brighter one is the same."""
    images = drawn_tissue(6)
    tinted = np.clip(images.astype(int) + np.array([30, 0, -30]), 0, 255).astype(np.uint8)
    assert near_pairs_between(images, tinted).empty
    assert len(near_pairs_between(images, np.stack([brighter(image, 10) for image in images]))) == 6
