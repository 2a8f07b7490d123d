"""Channels measured as they are; outliers are what lies far, not what has company."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from histoblend.audit.appearance import blank_findings, channel_finding
from histoblend.audit.description import FEATURES, described
from histoblend.audit.findings import Part
from histoblend.config import DataSettings


def part_of(images: np.ndarray, name: str = "train") -> Part:
    table = pd.DataFrame({"id": [f"p{i}" for i in range(len(images))], "pixel_hash": "h", "label": 0})
    return Part(name, table, images)


def test_description_is_of_all_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    told: list[tuple[int, int]] = []
    look = described(images, lambda done, total: told.append((done, total)))
    assert told == [(256, 300), (300, 300)]
    assert look.means == pytest.approx(images.mean(axis=(1, 2)) / 255, abs=1e-5)
    spreads = look.features[:, [FEATURES.index("red_spread"), FEATURES.index("blue_spread")]]
    assert spreads == pytest.approx(images[..., [0, 2]].std(axis=(1, 2)) / 255, abs=1e-4)
    values = channel_finding(part_of(images), look, "npy").values
    assert values["mean"] == pytest.approx(images.mean(axis=(0, 1, 2)) / 255, abs=1e-5)
    assert values["spread"] == pytest.approx(images.std(axis=(0, 1, 2)) / 255, abs=1e-5)


def test_channels_are_held_against_hcd_where_patches_should_be_like_it() -> None:
    colour = np.random.default_rng(0).normal((179, 139, 177), (61, 72, 55), (40, 32, 32, 3))
    alike = np.clip(colour, 0, 255).astype(np.uint8)
    for images, severity in ((alike, "note"), (alike // 3, "odd")):
        finding = channel_finding(part_of(images), described(images), "hcd")
        assert finding.severity == severity and "HCD" in finding.sentence
    elsewhere = channel_finding(part_of(alike // 3), described(alike // 3), "image folders")
    assert elsewhere.severity == "note" and "HCD" not in elsewhere.sentence


def test_blank_patches_of_test_are_never_dropped() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    settings = DataSettings(blank="drop")
    for name, training in (("train", "drop"), ("test", "keep")):
        (finding,) = blank_findings(part_of(images, name), described(images), settings)
        assert (finding.kind, finding.training, finding.ids) == ("black", training, ["p0", "p1"])


def test_nothing_to_describe() -> None:
    look = described(np.empty((0, 96, 96, 3), np.uint8))
    assert look.features.shape == (0, len(FEATURES)) and len(look.blank) == 0
