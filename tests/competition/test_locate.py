from __future__ import annotations

from pathlib import Path

import pytest

from histoblend.competition.locate import find_files, locate
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
