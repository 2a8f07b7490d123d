"""Copies: who belongs together, where, with which label."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from histoblend.audit.copies import exact_findings, near_findings
from histoblend.audit.findings import Part
from histoblend.config import DataSettings
from histoblend.data.duplicates import MOST_COPIES

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


def look_alikes(count: int) -> np.ndarray:
    """Pictures of one outline whose detail is like that of the next (correlation about .88), and of no other."""
    generator = np.random.default_rng(0)
    outline = cv2.resize(
        generator.normal(128, 60, (4, 4)).astype(np.float32), (96, 96), interpolation=cv2.INTER_CUBIC
    )
    detail = [generator.normal(0, 1, (96, 96))]
    for _ in range(count - 1):
        detail.append(0.88 * detail[-1] + np.sqrt(1 - 0.88**2) * generator.normal(0, 1, (96, 96)))
    planes = [outline + 7 * cv2.GaussianBlur(one, (0, 0), 1) / 0.28 for one in detail]
    return np.repeat(np.clip(np.stack(planes), 0, 255).astype(np.uint8)[..., None], 3, axis=3)


def train_of(images: np.ndarray) -> Part:
    names = [f"{place:03d}" for place in range(len(images))]
    return Part(
        "train", pd.DataFrame({"id": names, "pixel_hash": names, "label": [0, 1] * (len(names) // 2)}), images
    )


def test_a_crowd_of_look_alikes_is_told_and_not_listed() -> None:
    train = train_of(look_alikes(MOST_COPIES + 10))
    (finding,) = near_findings(train, part("test", "", None, NOTHING), DataSettings())
    assert (finding.kind, finding.severity, finding.count) == ("look-alikes", "note", MOST_COPIES + 10)
    assert f"{MOST_COPIES + 10} patches of train look alike" in finding.sentence and finding.patches.empty
    few = near_findings(train_of(train.images[:40]), part("test", "", None, NOTHING), DataSettings())
    assert {(one.kind, one.count) for one in few} == {
        ("near duplicates", 40),
        ("near duplicates, other label", 40),
    }


def test_many_copies_are_listed_however_many_there_are() -> None:
    picture = np.random.default_rng(0).integers(0, 190, (96, 96, 3), dtype=np.uint8)
    train = train_of(np.stack([picture + np.uint8(level) for level in range(MOST_COPIES + 10)]))
    found = near_findings(train, part("test", "", None, NOTHING), DataSettings())
    assert [(one.kind, one.count, one.values["sets"]) for one in found] == [
        ("near duplicates", MOST_COPIES + 10, 1),
        ("near duplicates, other label", MOST_COPIES + 10, 1),
    ]
