from __future__ import annotations

from pathlib import Path

import pytest

from histoblend.errors import DataRefusal
from histoblend.predicting.picture_files import list_pictures


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_a_folder_gives_its_pictures_sorted_with_those_of_subfolders(tmp_path: Path) -> None:
    folder = filled(tmp_path, "b.PNG", "a.tif", "deep/c.jpeg", "labels.csv", ".hidden.png", ".cache/d.png")
    listed = list_pictures([folder])
    assert [one.name for one in listed.pictures] == ["a.tif", "b.PNG", "deep/c.jpeg"]
    assert listed.others == 1


def test_results_of_an_earlier_prediction_are_no_pictures(tmp_path: Path) -> None:
    listed = list_pictures([filled(tmp_path, "a.tif", "a.tif.map.png", "a.tif.tiles.csv")])
    assert [one.name for one in listed.pictures] == ["a.tif"]
    assert listed.others == 0


def test_a_named_file_is_taken_whatever_its_suffix_and_once(tmp_path: Path) -> None:
    folder = filled(tmp_path, "scan", "a.tif")
    listed = list_pictures([folder / "scan", folder / "a.tif", folder / "a.tif", folder])
    assert [one.path.name for one in listed.pictures] == ["scan", "a.tif"]


def test_pictures_of_one_name_have_results_of_their_own(tmp_path: Path) -> None:
    filled(tmp_path, "one/a.tif", "two/a.tif", "three/x/a.tif")
    listed = list_pictures([tmp_path / "one/a.tif", tmp_path / "two/a.tif"])
    assert [str(one.place) for one in listed.pictures] == ["a.tif", "a-2.tif"]
    assert len({one.name for one in listed.pictures}) == 2
    folders = list_pictures([tmp_path / "one", tmp_path / "two", tmp_path / "three"])
    assert [str(one.place) for one in folders.pictures] == ["one/a.tif", "two/a.tif", "three/x/a.tif"]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefusal, match=r"no .*nothing\.png"):
        list_pictures([tmp_path / "nothing.png"])
    with pytest.raises(DataRefusal, match=r"no picture .*1 other"):
        list_pictures([filled(tmp_path, "labels.csv")])
