"""Copies: who belongs together, where, with which label."""

from __future__ import annotations

import numpy as np
import pandas as pd

from histoblend.audit.copies import exact_findings, near_findings
from histoblend.audit.findings import Part
from histoblend.config import DataSettings
from histoblend.data.handling import MOST_COPIES

NOTHING = np.empty((0, 96, 96, 3), np.uint8)


def part(name: str, hashes: str, labels: str | None = None, images: np.ndarray = NOTHING) -> Part:
    table = pd.DataFrame(
        {"id": [f"{name}{i}" for i in range(len(hashes))], "pixel_hash": list(hashes)}, dtype=str
    )
    if labels is not None:
        table["label"] = [int(label) for label in labels]
    return Part(name, table, images)


def test_sets_within_and_across() -> None:
    findings = exact_findings(part("train", "aabbcd", "010001"), part("test", "cdxee"), DataSettings())
    found = {(one.kind, one.part): one for one in findings}
    assert found["exact duplicates", "train"].ids == ["train0", "train1", "train2", "train3"]
    assert found["exact duplicates", "train"].values["sets"] == 2
    assert found["exact duplicates", "train"].training == "group"
    assert found["conflicting labels", "train"].ids == ["train0", "train1"]
    assert found["exact duplicates", "test"].ids == ["test3", "test4"]
    across = found["exact duplicates", "train + test"].patches
    assert list(zip(across["part"], across["id"], across["set"], strict=True)) == [
        ("train", "train4", 0),
        ("test", "test0", 0),
        ("train", "train5", 1),
        ("test", "test1", 1),
    ]
    assert "same pixels as test0" in across["detail"].iloc[0]


def test_no_copies_no_finding() -> None:
    assert exact_findings(part("train", "abc", "010"), part("test", "de"), DataSettings()) == []
    assert exact_findings(part("train", "abc", "010"), part("test", ""), DataSettings()) == []


def test_near_copies_leave_exact_ones_aside() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 3), dtype=np.uint8)
    images[1] = images[0]
    images[3] = np.clip(images[2].astype(int) + 8, 0, 255)
    train = part("train", "aabcde", "000111", images)
    test = part("test", "af", None, np.stack([images[0], np.rot90(images[5])]))
    findings = near_findings(train, test, DataSettings(near_duplicates="drop"))
    found = {(one.kind, one.part): one for one in findings}
    assert set(found["near duplicates", "train"].ids) == {"train2", "train3"}
    assert found["near duplicates", "train"].training == "drop"
    assert set(found["near duplicates, other label", "train"].ids) == {"train2", "train3"}
    across = found["near duplicates", "train + test"]
    assert across.ids == ["train5", "test1"] and "turned" in across.patches["detail"].iloc[0]
    assert across.severity == "wrong"


def test_a_crowd_of_look_alikes_is_told_and_not_listed() -> None:
    picture = np.random.default_rng(0).integers(0, 200, (96, 96, 3), dtype=np.uint8)
    images = np.stack([picture + np.uint8(level) for level in range(MOST_COPIES + 1)])
    hashes = [f"{level}" for level in range(len(images))]
    train = Part("train", pd.DataFrame({"id": hashes, "pixel_hash": hashes, "label": 0}), images)
    (finding,) = near_findings(train, part("test", "", None, NOTHING), DataSettings())
    assert finding.count == 0 and finding.severity == "note"
    assert f"{MOST_COPIES + 1} more look alike" in finding.sentence
