from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from histoblend.competition.locate import find_files, locate
from histoblend.competition.recognise import layout_of
from histoblend.competition.synthetic import MARKER
from histoblend.errors import DataRefusal


def competition(root: Path, synthetic: bool = False) -> Path:
    (root / "train").mkdir(parents=True)
    (root / "train_labels.csv").write_text("id,label\n")
    if synthetic:
        (root / MARKER).write_text("synthetic")
    return root


def find(place: Path, data: Path | None = None, **environment: str) -> Path | None:
    located = locate(data, environment, place / "input", place / "kaggle")
    return located.root if located else None


def test_nothing_anywhere(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "README.md").write_text("put it here")
    assert find(tmp_path) is None


def test_the_order_of_places(tmp_path: Path) -> None:
    synthetic = competition(tmp_path / "input" / "synthetic", synthetic=True)
    assert find(tmp_path) == synthetic
    real = competition(tmp_path / "input" / "hcd")
    assert find(tmp_path) == real
    mounted = competition(tmp_path / "kaggle" / "competitions" / "histopathologic-cancer-detection")
    assert find(tmp_path) == mounted
    named = competition(tmp_path / "elsewhere")
    assert find(tmp_path, HISTOBLEND_DATA=str(named)) == named
    asked = competition(tmp_path / "asked")
    assert find(tmp_path, asked, HISTOBLEND_DATA=str(named)) == asked


def test_the_reason_is_said(tmp_path: Path) -> None:
    competition(tmp_path / "input" / "synthetic", synthetic=True)
    located = locate(None, {}, tmp_path / "input", tmp_path / "kaggle")
    assert located is not None and "synthetic" in located.reason
    located = locate(tmp_path / "input", {}, tmp_path / "nowhere", tmp_path / "kaggle")
    assert located is not None and located.reason.startswith("--data names")


@pytest.mark.parametrize(
    "mount",
    [
        "histopathologic-cancer-detection",
        "competitions/histopathologic-cancer-detection",
        "datasets/owner/hcd-copy",
        "datasets/owner/hcd-copy/unpacked",
    ],
)
def test_old_and_new_kaggle_mounts(tmp_path: Path, mount: str) -> None:
    root = competition(tmp_path / "kaggle" / mount)
    assert find(tmp_path) == root


def test_input_itself_may_be_the_competition(tmp_path: Path) -> None:
    assert find(tmp_path, None) is None
    assert find(competition(tmp_path / "input").parent) == tmp_path / "input"


@pytest.mark.parametrize("origin", ["--data", "HISTOBLEND_DATA"])
def test_what_was_asked_for_is_never_passed_over(tmp_path: Path, origin: str) -> None:
    competition(tmp_path / "input" / "hcd")

    def ask(place: Path) -> Path | None:
        if origin == "--data":
            return find(tmp_path, place)
        return find(tmp_path, HISTOBLEND_DATA=str(place))

    with pytest.raises(DataRefusal, match=f"{origin} names .* does not exist"):
        ask(tmp_path / "none")
    (tmp_path / "other").mkdir()
    with pytest.raises(DataRefusal, match="holds nothing"):
        ask(tmp_path / "other")
    (tmp_path / "other" / "notes.txt").write_text("x")
    with pytest.raises(DataRefusal, match=r"holds notes\.txt"):
        ask(tmp_path / "other")
    with pytest.raises(DataRefusal, match="is a file"):
        ask(tmp_path / "other" / "notes.txt")


@pytest.mark.parametrize("archive", ["train.zip", "histopathologic-cancer-detection.zip"])
def test_archives_still_packed_stop_the_search(tmp_path: Path, archive: str) -> None:
    competition(tmp_path / "input" / "synthetic", synthetic=True)
    (tmp_path / "input" / archive).write_bytes(b"PK")
    with pytest.raises(DataRefusal, match=f"still packed .{archive}"):
        find(tmp_path)
    with pytest.raises(DataRefusal, match=f"still packed .{archive}"):
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / archive).write_bytes(b"PK")
        find(tmp_path, tmp_path / "given")


def test_an_archive_beside_an_unpacked_competition_does_no_harm(tmp_path: Path) -> None:
    root = competition(tmp_path / "input" / "hcd")
    (tmp_path / "input" / "histopathologic-cancer-detection.zip").write_bytes(b"PK")
    (root / "train.zip").write_bytes(b"PK")
    assert find(tmp_path) == root


def test_several_are_named_and_none_is_chosen(tmp_path: Path) -> None:
    first, second = competition(tmp_path / "input" / "a"), competition(tmp_path / "input" / "b")
    with pytest.raises(DataRefusal, match=f"{first}, {second}") as refusal:
        find(tmp_path)
    assert f"--data {first}" in refusal.value.remedy
    assert find(tmp_path, second) == second


def test_folders_of_images_are_not_searched(tmp_path: Path) -> None:
    images = tmp_path / "kaggle" / "pictures"
    images.mkdir(parents=True)
    for number in range(30):
        (images / f"{number}.png").write_bytes(b"x")
    competition(images / "deeper")
    assert find(tmp_path) is None


def test_find_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "map.csv").write_text("")
    (tmp_path / "map.csv").write_text("")
    assert find_files(tmp_path, "map.csv") == [tmp_path / "a" / "b" / "map.csv", tmp_path / "map.csv"]


def class_folders(root: Path) -> Path:
    for name in ("Car", "Truck"):
        (root / "train" / name).mkdir(parents=True)
        (root / "train" / name / "a.jpg").write_bytes(b"x")
    return root


def course(root: Path) -> Path:
    class_folders(root / "train+val")
    return root


def files(*names: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        root.mkdir(parents=True)
        for name in names:
            (root / name).write_bytes(b"x")
        return root

    return make


LAYOUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "classes": (class_folders, "image folders"),
    "course": (course, "image folders"),
    "pcam": (files("camelyonpatch_level_2_split_train_x.h5"), "pcam hdf5"),
    "packed pcam": (files("camelyonpatch_level_2_split_train_y.h5.gz"), "pcam hdf5"),
    "arrays": (files("train.npy", "labels.npy"), "npy"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_by_its_files_and_named(tmp_path: Path, layout: str) -> None:
    make, name = LAYOUTS[layout]
    root = make(tmp_path / "input" / "anything")
    assert layout_of(root) == name
    located = locate(None, {}, tmp_path / "input", tmp_path / "none")
    assert located is not None and (located.root, located.layout) == (root, name)
    assert located.reason == f"It was found in the input folder ({tmp_path / 'input'}), laid out as {name}."
    asked = locate(tmp_path / "input", {}, tmp_path / "none", tmp_path / "none")
    assert asked is not None and asked.root == root
    assert asked.reason == f"--data names {tmp_path / 'input'}, which holds it, laid out as {name}."


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_competition_comes_before_other_layouts_and_drawn_patches_after(
    tmp_path: Path, layout: str
) -> None:
    other = LAYOUTS[layout][0](tmp_path / "input" / "a")
    competition(tmp_path / "input" / "synthetic", synthetic=True)
    assert find(tmp_path) == other
    hcd = competition(tmp_path / "input" / "hcd")
    located = locate(None, {}, tmp_path / "input", tmp_path / "none")
    assert located is not None and (located.root, located.layout) == (hcd, "hcd")
    assert f"before what has another layout: {other} ({LAYOUTS[layout][1]})" in located.reason
    assert find(tmp_path, other) == other


def test_several_of_other_layouts_are_named_and_none_is_chosen(tmp_path: Path) -> None:
    first, second = class_folders(tmp_path / "input" / "a"), course(tmp_path / "input" / "b")
    with pytest.raises(DataRefusal, match=f"several competitions: {first}, {second}") as refusal:
        find(tmp_path)
    assert f"--data {first}" in refusal.value.remedy


def test_a_competition_still_packed_comes_before_other_layouts(tmp_path: Path) -> None:
    class_folders(tmp_path / "input" / "cars")
    (tmp_path / "input" / "train.zip").write_bytes(b"PK")
    with pytest.raises(DataRefusal, match=r"still packed .train\.zip"):
        find(tmp_path)


def test_an_archive_beside_unpacked_classes_does_no_harm(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "input" / "cars")
    (root / "train.zip").write_bytes(b"PK")
    assert find(tmp_path) == root


def test_patches_without_their_labels_are_no_class_folders(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "hcd" / part).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "hcd" / part / f"{number}.tif").write_bytes(b"x")
    assert layout_of(tmp_path / "hcd") is None
    with pytest.raises(DataRefusal, match="There is no competition in --data"):
        find(tmp_path, tmp_path / "hcd")
    (tmp_path / "hcd" / "train" / "train").mkdir()  # unpacked one folder too deep
    (tmp_path / "hcd" / "train" / "train" / "1.tif").write_bytes(b"x")
    assert layout_of(tmp_path / "hcd") is None


@pytest.mark.parametrize("stray", ["documents/letter.txt", "c.zip"])
def test_folders_are_taken_for_classes_only_if_they_hold_pictures_alone(tmp_path: Path, stray: str) -> None:
    for name in ("a", "b"):
        (tmp_path / "place" / name).mkdir(parents=True)
        (tmp_path / "place" / name / "1.jpg").write_bytes(b"x")
    assert find(tmp_path, tmp_path / "place") == tmp_path / "place"
    (tmp_path / "place" / stray).parent.mkdir(exist_ok=True)
    (tmp_path / "place" / stray).write_bytes(b"x")
    if stray == "c.zip":  # no folder: other files beside the classes are left alone
        assert find(tmp_path, tmp_path / "place") == tmp_path / "place"
        return
    with pytest.raises(DataRefusal, match="There is no competition in --data"):
        find(tmp_path, tmp_path / "place")


def test_large_folders_are_left_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path / "input" / "cars")
    for name in ("Car", "Truck"):
        for number in range(300):
            (root / "train" / name / f"{number}.jpg").write_bytes(b"x")
    seen = 0

    class Counting:
        def __init__(self, scan: os._ScandirIterator[str]) -> None:  # type: ignore[name-defined]
            self.scan = scan

        def __enter__(self) -> Counting:
            return self

        def __exit__(self, *_: object) -> None:
            self.scan.close()

        def __iter__(self) -> Counting:
            return self

        def __next__(self) -> os.DirEntry[str]:
            nonlocal seen
            seen += 1
            return next(self.scan)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: Counting(scandir(path)))
    assert find(tmp_path) == root
    assert 0 < seen < 20
