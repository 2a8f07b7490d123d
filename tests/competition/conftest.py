"""A competition of 28 small random patches, to be broken by the tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


def draw(root: Path, train: int = 20, test: int = 8) -> Path:
    """Write `train` and `test` random patches with labels and a sample submission; ids are digits only."""
    generator = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        (root / part).mkdir(parents=True)
        for number in range(count):
            image = generator.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            assert cv2.imwrite(str(root / part / f"{part_id(part, number)}.tif"), image)
    lines = [f"{part_id('train', number)},{number % 2}" for number in range(train)]
    (root / "train_labels.csv").write_text("\n".join(["id,label", *lines, ""]))
    lines = [f"{part_id('test', number)},0" for number in reversed(range(test))]
    (root / "sample_submission.csv").write_text("\n".join(["id,label", *lines, ""]))
    return root


def part_id(part: str, number: int) -> str:
    return f"00{number}" if part == "train" else f"{number}e5"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The folder of a sound competition: train ids 000 to 0019, test ids 7e5 to 0e5 in the sample's order."""
    return draw(tmp_path / "toy")
