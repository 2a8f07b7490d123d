from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.competition.layouts import read_competition
from histoblend.config import DataSettings
from histoblend.data.decode import read_picture
from histoblend.data.fitting import Fitting
from histoblend.data.pack import pack
from histoblend.predicting.learned import Learned, learned_patches
from histoblend.workspace import Workspace, write_csv, write_json

SIDE = 32
HCD_ID = "0000d563d5cfafc4e68acb7c9829258a298d9b6a"


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two classes of pictures larger than a patch, numbered in each class."""
    import cv2

    generator = np.random.default_rng(0)
    for name in ("Car", "Truck"):
        (tmp_path / "data/train" / name).mkdir(parents=True)
        for number in range(4):
            image = generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / f"data/train/{name}/{number}.png"), image)
    return tmp_path / "data"


@pytest.fixture
def workspace(folders: Path, tmp_path: Path) -> Workspace:
    """As a run leaves it, the patch train/Car/3 dropped from the folds."""
    workspace = Workspace(tmp_path / "output")
    packed = pack(read_competition(folders), workspace.cache, 1, settings=DataSettings(side=SIDE))
    rows = packed.train[packed.train["id"] != "train/Car/3"]
    write_csv(workspace.folds, rows[["id", "label"]].assign(slide=rows["id"], fold=0))
    write_json(workspace.folds_record, {"settings": {"data": packed.fingerprint}})
    return workspace


def learned(workspace: Workspace) -> Learned:
    return learned_patches(workspace, workspace.cache, Fitting(SIDE))


def how(known: Learned, path: Path) -> str:
    return known.how(path, read_picture(path))


def test_pictures_of_class_folders_are_known_by_their_pixels(
    workspace: Workspace, folders: Path, tmp_path: Path
) -> None:
    known = learned(workspace)
    assert how(known, folders / "train/Car/1.png") == "pixels of train/Car/1"
    renamed = shutil.copy(folders / "train/Truck/2.png", tmp_path / "3.png")
    assert how(known, Path(renamed)) == "pixels of train/Truck/2"


def test_a_number_as_name_says_nothing_where_the_pixels_are_known(
    workspace: Workspace, folders: Path, tmp_path: Path
) -> None:
    assert learned(workspace).how(tmp_path / "test/1.png", np.zeros((40, 50, 3), np.uint8)) == ""
    assert how(learned(workspace), folders / "train/Car/3.png") == ""  # dropped, so not learned


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_without_sound_pixels_the_last_part_of_the_id_tells(
    workspace: Workspace, folders: Path, harm: str
) -> None:
    for index in list(workspace.cache.glob("*/index.csv")):
        index.write_text("part,row\n") if harm == "damaged" else shutil.rmtree(index.parent)
    known = learned(workspace)
    assert known.by_pixels is None
    assert how(known, folders / "train/Car/1.png") == "name of train/Car/1"
    assert known.how(Path("9.png"), np.zeros((40, 50, 3), np.uint8)) == ""


def test_hcd_ids_are_names_that_tell_also_beside_pixels(workspace: Workspace) -> None:
    """A patch of HCD saved as JPEG has other pixels and is known all the same."""
    folds = pd.read_csv(workspace.folds, dtype=str)
    folds.loc[len(folds)] = [HCD_ID, "0", "s", "0"]
    write_csv(workspace.folds, folds)
    known = learned(workspace)
    assert known.by_pixels
    assert known.how(Path(f"{HCD_ID}.jpg"), np.zeros((SIDE, SIDE, 3), np.uint8)) == f"name of {HCD_ID}"


def test_an_output_without_folds_has_learned_nothing_that_is_known(tmp_path: Path) -> None:
    known = learned(Workspace(tmp_path))
    assert (known.by_pixels, dict(known.by_name)) == (None, {})
