"""Contact sheets: where the pictures land, and what is drawn around them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histoblend.data.augmentations import build_augmenter
from histoblend.errors import MachineRefusal
from histoblend.reporting.contact_sheet import (
    GAP,
    LINE,
    TITLE,
    augmentation_sheet,
    contact_sheet,
    outline_centre,
    write_png,
)


def flat(count: int, side: int = 96) -> np.ndarray:
    levels = (20 * (1 + np.arange(count))).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, side, side, 3)).copy()


def test_pictures_stand_in_rows_enlarged_and_apart() -> None:
    sheet = contact_sheet(flat(5), columns=3, scale=2)
    pitch = 2 * 96 + GAP
    assert sheet.shape == (GAP + 2 * pitch, GAP + 3 * pitch, 3)
    assert sheet.dtype == np.uint8
    for place in range(5):
        row, column = GAP + place // 3 * pitch, GAP + place % 3 * pitch
        assert (sheet[row : row + 192, column : column + 192] == 20 * (place + 1)).all()
    assert (sheet[GAP + pitch :, GAP + 2 * pitch :] == 255).all()


def test_captions_and_title_take_room_and_hold_ink_outside_the_pictures() -> None:
    plain, written = (
        contact_sheet(flat(2), 2, captions, title)
        for captions, title in ((None, None), (["one", "two"], "Title"))
    )
    assert written.shape[0] - plain.shape[0] == LINE + TITLE
    bands = written[GAP : GAP + TITLE], written[-GAP - LINE : -GAP]
    for band in bands:
        assert (band < 128).any()
    assert (written[GAP + TITLE : GAP + TITLE + 192, GAP : GAP + 192] == 20).all()


def test_the_outline_spares_the_centre() -> None:
    image = flat(1)[0]
    outlined = outline_centre(image)
    assert (outlined[32:64, 32:64] == 20).all()
    assert (outlined[31, 31:65] != 20).any(axis=-1).all()
    assert (image == 20).all()


def test_an_augmentation_sheet_shows_original_then_variants_by_row() -> None:
    sheet = augmentation_sheet(flat(2), build_augmenter([]), variants=3)
    pitch_down, pitch_right = 192 + GAP + LINE, 192 + GAP
    assert sheet.shape == (GAP + 2 * pitch_down, GAP + 4 * pitch_right, 3)
    for row in range(2):
        top = GAP + row * pitch_down
        first = sheet[top : top + 192, GAP : GAP + 192]
        assert not (first == 20 * (row + 1)).all()
        for column in range(1, 4):
            left = GAP + column * pitch_right
            assert (sheet[top : top + 192, left : left + 192] == 20 * (row + 1)).all()


def test_variants_differ_and_the_seed_decides_them() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(1, 96, 96, 3), dtype=np.uint8)
    augmenter = build_augmenter([{"name": "StainJitter", "p": 1.0}])
    sheet = augmentation_sheet(images, augmenter, variants=2, seed=1)
    first, second = (sheet[GAP : GAP + 192, GAP + k * (192 + GAP) :][:, :192] for k in (1, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(sheet, augmentation_sheet(images, augmenter, variants=2, seed=1))


def test_a_png_keeps_its_pixels_and_colours(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(20, 30, 3), dtype=np.uint8)
    write_png(tmp_path / "sheet.png", image)
    assert np.array_equal(cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1], image)


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MachineRefusal, match="nowhere"):
        write_png(tmp_path / "nowhere" / "sheet.png", flat(1)[0])
