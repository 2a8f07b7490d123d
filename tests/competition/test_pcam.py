from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from histoblend.competition.door import Door
from histoblend.competition.layouts import Competition, read_competition
from histoblend.errors import DataRefusal

STEM = "camelyonpatch_level_2_split"
LABELS = {"train": [0, 1, 1, 0, 1], "valid": [1, 0, 0], "test": [0, 1]}


def write(root: Path, part: str, array: str, values: np.ndarray, name: str = "") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{STEM}_{part}_{array}.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(name or array, data=values)
    return path


def write_part(root: Path, part: str, labels: list[int] | None = None) -> None:
    labels = LABELS[part] if labels is None else labels
    write(root, part, "x", np.zeros((len(labels), 96, 96, 3), np.uint8))
    write(root, part, "y", np.array(labels, np.uint8).reshape(-1, 1, 1, 1))


def write_meta(root: Path, part: str, **columns: object) -> Path:
    """A meta CSV with the columns of PCam's own."""
    labels = LABELS[part]
    table = pd.DataFrame(
        {
            "coord_y": 7,
            "coord_x": 9,
            "tumor_patch": True,
            "center_tumor_patch": [bool(label) for label in labels],
            "wsi": [f"camelyon16_{part}_normal_03{row // 2}" for row in range(len(labels))],
        }
        | columns
    )
    path = root / f"{STEM}_{part}_meta.csv"
    table.to_csv(path)
    return path


def pack(path: Path) -> None:
    (path.parent / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


@pytest.fixture
def pcam(tmp_path: Path) -> Path:
    root = tmp_path / "pcam"
    for part in LABELS:
        write_part(root, part)
    return root


def known(competition: Competition) -> dict[str, int]:
    assert competition.known_labels is not None
    return dict(zip(competition.known_labels["id"], competition.known_labels["label"], strict=True))


def test_ids_labels_rows_and_paths(pcam: Path) -> None:
    competition = read_competition(pcam)
    assert (competition.layout, competition.classes) == ("pcam hdf5", ("no tumour", "tumour"))
    ids = [f"train_000000{row}" for row in range(5)] + [f"valid_000000{row}" for row in range(3)]
    assert list(competition.train["id"]) == ids == sorted(ids)
    assert list(competition.train["row"]) == [0, 1, 2, 3, 4, 0, 1, 2]
    assert list(competition.train["label"]) == LABELS["train"] + LABELS["valid"]
    assert competition.train["label"].dtype == competition.train["row"].dtype == "int64"
    assert competition.train["path"].iloc[0] == str(pcam.resolve() / f"{STEM}_train_x.h5")
    assert competition.train["path"].iloc[5] == str(pcam.resolve() / f"{STEM}_valid_x.h5")
    assert list(competition.test["id"]) == ["test_0000000", "test_0000001"]
    assert competition.sample is not None and len(competition.sample) == 0 and competition.slides is None
    assert known(competition) == {"test_0000000": 0, "test_0000001": 1}


def test_it_is_said_that_pcam_must_not_be_submitted(pcam: Path) -> None:
    notes = read_competition(pcam).notes
    assert "must never be sent to HCD's leaderboard: PCam holds its test patches" in notes[1]
    assert "its 3 patches join the folds" in notes[2]


def test_the_validation_part_may_be_held_out(pcam: Path) -> None:
    competition = read_competition(pcam, use_valid="holdout")
    assert len(competition.train) == 5 and len(competition.test) == 5
    assert competition.sample is not None
    assert len(competition.sample) == 0  # its labels are known
    assert [known(competition)[f"valid_000000{row}"] for row in range(3)] == LABELS["valid"]


def test_packed_files_read_the_same(pcam: Path) -> None:
    unpacked = read_competition(pcam)
    for path in list(pcam.iterdir()):
        pack(path)
    packed = read_competition(pcam)
    columns = ["id", "label", "row"]
    pd.testing.assert_frame_equal(packed.train[columns], unpacked.train[columns])
    assert packed.train["path"].iloc[0] == str(pcam.resolve() / f"{STEM}_train_x.h5.gz")
    assert known(packed) == known(unpacked)


@pytest.mark.parametrize("packed", [False, True])
def test_train_alone_and_a_test_part_without_labels(tmp_path: Path, packed: bool) -> None:
    write_part(tmp_path, "train")
    competition = read_competition(tmp_path)
    assert len(competition.train) == 5 and len(competition.test) == 0
    assert competition.sample is not None and len(competition.sample) == 0
    pictures = write(tmp_path, "test", "x", np.zeros((3, 96, 96, 3), np.uint8))
    if packed:
        pack(pictures)
    competition = read_competition(tmp_path)
    assert len(competition.test) == 3 and competition.known_labels is None and competition.sample is None


def test_slides_of_the_folds_come_from_the_meta_tables(pcam: Path) -> None:
    for part in LABELS:
        write_meta(pcam, part)
    slides = read_competition(pcam).slides
    assert slides is not None
    assert list(slides.index) == list(read_competition(pcam).train["id"])
    assert list(slides) == [f"camelyon16_train_normal_03{row // 2}" for row in range(5)] + [
        f"camelyon16_valid_normal_03{row // 2}" for row in range(3)
    ]
    held_out = read_competition(pcam, use_valid="holdout")
    assert held_out.slides is not None and list(held_out.slides.index) == list(held_out.train["id"])


def test_slides_are_used_only_where_every_part_of_the_folds_has_them(pcam: Path) -> None:
    write_meta(pcam, "train")
    competition = read_competition(pcam)
    assert competition.slides is None
    assert f"no {STEM}_valid_meta.csv, so the slides of the other part" in competition.notes[-1]
    assert read_competition(pcam, use_valid="holdout").slides is not None


def cut(name: str, length: int) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        path = root / f"{STEM}_{name}"
        path.write_bytes(path.read_bytes()[:length])

    return apply


def packed_and_cut(root: Path) -> None:
    path = root / f"{STEM}_train_y.h5"
    pack(path)
    packed = root / f"{path.name}.gz"
    packed.write_bytes(packed.read_bytes()[:-20])


def pictures(part: str, shape: tuple[int, ...], name: str = "") -> Callable[[Path], object]:
    return lambda root: write(root, part, "x", np.zeros(shape, np.uint8), name)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no train labels": (
        lambda root: (root / f"{STEM}_train_y.h5").unlink(),
        f"no {STEM}_train_y.h5",
    ),
    "no train pictures": (
        lambda root: (root / f"{STEM}_train_x.h5").unlink(),
        f"no {STEM}_train_x.h5",
    ),
    "valid without labels": (
        lambda root: (root / f"{STEM}_valid_y.h5").unlink(),
        f"no {STEM}_valid_y.h5",
    ),
    "fewer pictures than labels": (
        pictures("train", (4, 96, 96, 3)),
        "train_x.h5 holds 4 pictures, and .*train_y.h5 holds 5 labels",
    ),
    "no pictures": (pictures("train", (5, 96)), "train_x.h5 has the shape 5x96"),
    "another dataset": (
        pictures("train", (5, 96, 96, 3), "mask"),
        'train_x.h5 has no dataset "x"; it holds mask',
    ),
    "label 2": (
        lambda root: write_part(root, "train", [0, 1, 2, 0, 1]),
        "train_y.h5 has labels other than 0 and 1 in 1 rows: 2=2",
    ),
    "labels that are a table": (
        lambda root: write(root, "train", "y", np.zeros((5, 2))),
        r'"y" in .*train_y.h5 has the shape \(5, 2\)',
    ),
    "truncated": (cut("train_x.h5", 5000), "train_x.h5 cannot be read as HDF5"),
    "no HDF5": (cut("valid_y.h5", 10), "valid_y.h5 cannot be read as HDF5"),
    "truncated archive": (packed_and_cut, "train_y.h5.gz cannot be read as HDF5"),
    "meta of other rows": (
        lambda root: (
            [write_meta(root, part) for part in LABELS],
            cut("train_meta.csv", 150)(root),
        ),
        "train_meta.csv has . rows, and the labels beside it are 5",
    ),
    "meta that contradicts the labels": (
        lambda root: [write_meta(root, part, center_tumor_patch=True) for part in LABELS],
        r"train_meta.csv contradicts the labels in 2 rows \(center_tumor_patch\): 0, 3",
    ),
    "meta without slides": (
        lambda root: [write_meta(root, part).write_text("a,b\n1,2\n") for part in LABELS],
        "train_meta.csv has no column wsi, but a, b",
    ),
    "meta with empty slides": (
        lambda root: [write_meta(root, part, wsi="") for part in LABELS],
        "train_meta.csv names no slide in 5 rows",
    ),
    "meta that is empty": (
        lambda root: [write_meta(root, part).write_text("") for part in LABELS],
        "train_meta.csv cannot be read as a table",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_at_the_door(pcam: Path, fault: str) -> None:
    apply, words = FAULTS[fault]
    apply(pcam)
    with pytest.raises(DataRefusal, match=words) as refusal:
        read_competition(pcam)
    assert "Expected:" in str(refusal.value) and "To do:" in str(refusal.value)


def test_meta_of_another_kind_of_truth_is_understood(pcam: Path) -> None:
    for part, labels in LABELS.items():
        write_meta(pcam, part, center_tumor_patch=labels)
    assert read_competition(pcam).slides is not None


def test_a_lenient_door_names_the_faults_of_all_parts(pcam: Path) -> None:
    write_part(pcam, "train", [0, 1, 2, 0, 1])
    for part in LABELS:
        write_meta(pcam, part)
    write_meta(pcam, "train", center_tumor_patch=True)
    cut("valid_y.h5", 10)(pcam)
    pictures("test", (7, 96, 96, 3))(pcam)
    door = Door(lenient=True)
    competition = read_competition(pcam, door=door)
    said = [refusal.found for refusal in door.refusals]
    for words in ("2=2", "valid_y.h5 cannot be read", "test_x.h5 holds 7 pictures", "contradicts the labels"):
        assert sum(words in one for one in said) == 1, words
    assert len(said) == 4
    assert list(competition.train["row"]) == [0, 1, 3, 4] and competition.slides is None
    assert len(competition.test) == 0
