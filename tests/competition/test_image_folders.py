from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from histoblend.competition.door import Door
from histoblend.competition.layouts import Competition, read_competition
from histoblend.competition.locate import locate
from histoblend.competition.recognise import PICTURE_SUFFIXES
from histoblend.errors import DataRefusal


def fill(folder: Path, *names: str) -> None:
    """Files that are taken for pictures: nothing is decoded at the door."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    root = tmp_path / "cars"
    fill(root / "train" / "Car", "c1.jpg", "c2.PNG", "c3.tiff")
    fill(root / "train" / "Truck", "t1.jpeg", "t2.bmp")
    return root


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The folders of the TU/e course."""
    root = tmp_path / "course"
    for part, count in (("train", 3), ("valid", 2)):
        for label in "01":
            fill(root / "train+val" / part / label, *(f"{label}{number}.jpg" for number in range(count)))
    fill(root / "test", "b.jpg", "a.jpg")
    return root


def rows(table: pd.DataFrame | None, *columns: str) -> list[tuple[object, ...]]:
    assert table is not None
    return list(table[list(columns)].itertuples(index=False, name=None))


def test_ids_labels_paths_and_class_order(cars: Path) -> None:
    competition = read_competition(cars)
    assert (competition.layout, competition.name, competition.classes) == (
        "image folders",
        "cars",
        ("Car", "Truck"),
    )
    assert rows(competition.train, "id", "label", "row") == [
        ("train/Car/c1", 0, -1),
        ("train/Car/c2", 0, -1),
        ("train/Car/c3", 0, -1),
        ("train/Truck/t1", 1, -1),
        ("train/Truck/t2", 1, -1),
    ]
    assert [Path(path).name for path in competition.train["path"]] == [
        "c1.jpg",
        "c2.PNG",
        "c3.tiff",
        "t1.jpeg",
        "t2.bmp",
    ]
    assert all(Path(path).is_file() for path in competition.train["path"])
    assert competition.train["label"].dtype == competition.train["row"].dtype == "int64"
    assert competition.class_counts() == {"Car": 3, "Truck": 2}
    assert "image folders; its classes are 0 = Car, 1 = Truck." in competition.notes[0]


def test_pictures_of_every_suffix_that_can_be_decoded_are_taken(cars: Path) -> None:
    fill(cars / "train" / "Car", *(f"w{suffix}{suffix}" for suffix in PICTURE_SUFFIXES))
    assert {".gif", ".webp"} <= set(PICTURE_SUFFIXES)
    assert len(read_competition(cars).train) == 5 + len(PICTURE_SUFFIXES)


def test_without_a_test_part_nothing_is_to_be_submitted(cars: Path) -> None:
    competition = read_competition(cars)
    assert len(competition.test) == 0 and list(competition.test.columns) == ["id", "path", "row"]
    assert competition.sample is not None and len(competition.sample) == 0
    assert list(competition.sample.columns) == ["id", "label"]
    assert competition.known_labels is None
    assert "no submission is written" in competition.notes[-1]


def test_class_names_that_are_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "-1"):
        fill(tmp_path / "train" / name, "a.png")
    competition = read_competition(tmp_path)
    assert competition.classes == ("-1", "9", "10")
    assert rows(competition.train, "id", "label") == [
        ("train/-1/a", 0),
        ("train/9/a", 1),
        ("train/10/a", 2),
    ]


@pytest.mark.parametrize("name", ["valid", "val"])
def test_valid_joins_the_folds_unless_it_is_held_out(cars: Path, name: str) -> None:
    fill(cars / name / "Car", "c1.jpg")
    fill(cars / name / "Truck", "t9.jpg")
    joined = read_competition(cars)
    assert rows(joined.train, "id", "label")[-2:] == [(f"{name}/Car/c1", 0), (f"{name}/Truck/t9", 1)]
    assert len(joined.train) == 7 and len(joined.test) == 0 and joined.known_labels is None
    assert f"{name}/: its 2 patches join the folds" in joined.notes[1]

    held_out = read_competition(cars, use_valid="holdout")
    assert len(held_out.train) == 5
    assert rows(held_out.test, "id", "row") == [(f"{name}/Car/c1", -1), (f"{name}/Truck/t9", -1)]
    assert rows(held_out.known_labels, "id", "label") == [(f"{name}/Car/c1", 0), (f"{name}/Truck/t9", 1)]
    assert held_out.sample is not None and len(held_out.sample) == 0
    assert f"{name}/: its 2 patches are held out" in held_out.notes[1]


def test_held_out_patches_are_not_submitted(course: Path) -> None:
    competition = read_competition(course, use_valid="holdout")
    assert list(competition.test["id"]) == [
        "test/a",
        "test/b",
        "valid/0/00",
        "valid/0/01",
        "valid/1/10",
        "valid/1/11",
    ]
    assert competition.sample is not None and list(competition.sample["id"]) == ["test/a", "test/b"]
    assert rows(competition.known_labels, "id", "label")[0] == ("valid/0/00", 0)
    assert competition.known_labels is not None and len(competition.known_labels) == 4


def test_the_course_layout_from_above_and_from_inside(course: Path) -> None:
    above = read_competition(course)
    assert (above.name, above.classes, above.sample) == ("course", ("0", "1"), None)
    assert list(above.train["id"])[:4] == ["train/0/00", "train/0/01", "train/0/02", "train/1/10"]
    assert len(above.train) == 10 and list(above.test["id"]) == ["test/a", "test/b"]
    inside = read_competition(course / "train+val")
    assert inside.name == "course" and len(inside.test) == 0
    pd.testing.assert_frame_equal(inside.train, above.train)


def test_labelled_test_pictures_are_scored_only(cars: Path) -> None:
    fill(cars / "test" / "Car", "z.jpg")
    fill(cars / "test" / "Truck", "a.jpg")
    competition = read_competition(cars)
    assert len(competition.train) == 5
    assert rows(competition.test, "id") == [("test/Car/z",), ("test/Truck/a",)]
    assert rows(competition.known_labels, "id", "label") == [("test/Car/z", 0), ("test/Truck/a", 1)]
    assert competition.sample is not None and len(competition.sample) == 0
    assert "scoring only" in competition.notes[-1]


def test_class_folders_alone_are_taken_only_where_they_are_named(tmp_path: Path) -> None:
    root = tmp_path / "input" / "cars"
    fill(root / "Car", "a.jpg")
    fill(root / "Truck", "b.jpg")
    assert locate(None, {}, tmp_path / "input", tmp_path / "none") is None
    for located in (
        locate(root, {}, tmp_path / "none", tmp_path / "none"),
        locate(None, {"HISTOBLEND_DATA": str(root)}, tmp_path / "none", tmp_path / "none"),
    ):
        assert located is not None and located.root == root and located.layout == "image folders"
        assert "its folders are taken for classes" in located.reason
    competition = read_competition(root)
    assert rows(competition.train, "id", "label") == [("Car/a", 0), ("Truck/b", 1)]
    assert len(competition.test) == 0


def test_clutter_and_readmes_do_no_harm(cars: Path) -> None:
    fill(cars / "train", "README.md", ".DS_Store")
    fill(cars / "train" / ".ipynb_checkpoints", "c1-checkpoint.jpg")
    fill(cars / "train" / "__MACOSX", "._c1.jpg")
    fill(cars / "train" / "Car", "Thumbs.db", "._c1.jpg")
    assert len(read_competition(cars).train) == 5


def empty_class(root: Path) -> None:
    (root / "train" / "Bus").mkdir()


def no_second_class(root: Path) -> None:
    for path in (root / "train" / "Truck").iterdir():
        path.unlink()
    (root / "train" / "Truck").rmdir()


def ill_named(root: Path) -> None:
    with open(os.fsencode(root / "train" / "Car") + b"/\xff.jpg", "wb") as file:  # noqa: PTH123
        file.write(b"x")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty class": (empty_class, "Bus is empty of patches: it holds nothing"),
    "one class": (no_second_class, "only one class: Car"),
    "two files of one id": (
        lambda root: fill(root / "train" / "Car", "c1.png"),
        "1 files in .*Car share their id with another file: c1.png",
    ),
    "a file that is no picture": (
        lambda root: fill(root / "train" / "Car", "c4.jpg.part"),
        "Car holds 1 entries that are no patches: c4.jpg.part",
    ),
    "a folder in a class": (
        lambda root: fill(root / "train" / "Car" / "more", "a.jpg"),
        "Car holds 1 entries that are no patches: more",
    ),
    "a picture in no class": (
        lambda root: fill(root / "train", "lost.jpg"),
        "1 pictures lie beside the class folders of .*train, so in no class: lost.jpg",
    ),
    "valid without a class": (
        lambda root: fill(root / "valid" / "Car", "a.jpg"),
        "valid does not hold the classes of train/: it is without Truck",
    ),
    "valid with another class": (
        lambda root: [fill(root / "valid" / name, "a.jpg") for name in ("Car", "Lorry")],
        "it is without Truck and with Lorry",
    ),
    "test in a folder of its own": (
        lambda root: fill(root / "test" / "unknown", "a.jpg"),
        "(?s)test does not hold the classes of train/.*put unlabelled pictures directly into test/",
    ),
    "test of both kinds": (
        lambda root: [fill(root / "test", "a.jpg"), fill(root / "test" / "Car", "a.jpg")],
        "test holds 1 entries that are no patches: Car",
    ),
    "empty test": (lambda root: fill(root / "test"), "test is empty of patches"),
    "valid and val": (
        lambda root: [
            fill(root / part / name, "a.jpg") for part in ("valid", "val") for name in ("Car", "Truck")
        ],
        "There are both .*valid and .*val",
    ),
    "a name of other bytes": (ill_named, r"1 files whose names are no UTF-8 text: '\\udcff.jpg'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_at_the_door(cars: Path, fault: str) -> None:
    apply, words = FAULTS[fault]
    apply(cars)
    with pytest.raises(DataRefusal, match=words) as refusal:
        read_competition(cars)
    assert "Expected:" in str(refusal.value) and "To do:" in str(refusal.value)


def test_holdout_without_a_validation_part_is_refused(cars: Path) -> None:
    with pytest.raises(DataRefusal, match=r"holdout, but .*cars has no validation part"):
        read_competition(cars, use_valid="holdout")


def test_a_lenient_door_names_all_faults_and_goes_on_with_the_sound_files(cars: Path) -> None:
    for fault in ("empty class", "two files of one id", "a file that is no picture", "a picture in no class"):
        FAULTS[fault][0](cars)
    fill(cars / "valid" / "Car", "v.jpg")
    fill(cars / "valid" / "Lorry", "v.jpg")
    fill(cars / "test")
    door = Door(lenient=True)
    competition: Competition = read_competition(cars, door=door)
    said = "\n".join(refusal.found for refusal in door.refusals)
    for words in ("Bus is empty", "share their id", "c4.jpg.part", "lost.jpg", "with Lorry", "test is empty"):
        assert words in said
    assert len(door.refusals) == 6
    assert competition.classes == ("Car", "Truck") and len(competition.test) == 0
    assert list(competition.train["id"]) == [
        "train/Car/c1",
        "train/Car/c2",
        "train/Car/c3",
        "train/Truck/t1",
        "train/Truck/t2",
        "valid/Car/v",
    ]
