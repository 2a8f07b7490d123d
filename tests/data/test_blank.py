"""Blank patches: each kind is named, tissue and nearly empty glass are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histoblend.data.blank import blank_kinds


def flat(colour: tuple[int, int, int], noise: float = 0.0, side: int = 96) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.clip(generator.normal(colour, max(noise, 1e-9), (side, side, 3)).round(), 0, 255).astype(
        np.uint8
    )


def with_speck(image: np.ndarray, side: int) -> np.ndarray:
    changed = image.copy()
    changed[10 : 10 + side, 10 : 10 + side] = (120, 40, 120)
    return changed


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (flat((0, 0, 0)), "black"),
        (flat((25, 20, 22), 3), "black"),
        (with_speck(flat((0, 0, 0)), 5), "black"),
        (flat((255, 255, 255)), "white"),
        (with_speck(flat((255, 255, 255)), 5), "white"),
        (flat((200, 120, 180)), "one colour"),
        (flat((230, 228, 235), 1.5), "hardly any contrast"),
        (flat((245, 245, 245)), "one colour"),
        (with_speck(flat((235, 232, 238), 1), 12), ""),
        (flat((200, 120, 180), 20), ""),
        (flat((90, 40, 120), 12), ""),
        (flat((0, 0, 0), side=16), "black"),
    ],
)
def test_each_kind_is_named(image: np.ndarray, kind: str) -> None:
    assert list(blank_kinds(image[None])) == [kind]


def test_flat_patches_stay_flat_after_compression() -> None:
    for colour, kind in (((255, 255, 255), "white"), ((0, 0, 0), "black"), ((210, 150, 190), "one colour")):
        _, code = cv2.imencode(".jpg", flat(colour))
        assert blank_kinds(cv2.imdecode(code, cv2.IMREAD_COLOR)[None])[0] == kind


def test_no_patch_no_kind() -> None:
    assert len(blank_kinds(np.empty((0, 96, 96, 3), np.uint8))) == 0


def test_one_of_two_real_patches_off_the_slide_is_found(hcd_mini: Path) -> None:
    names = ("00d0d08345178614ba03d28e0e4253458fb0e690", "0d16fdabc1692c02b2c8c7259ce77dc7692d3551")
    images = np.stack([cv2.imread(str(hcd_mini / "train" / f"{name}.tif"))[:, :, ::-1] for name in names])
    assert list(blank_kinds(images)) == ["black", ""]
