"""The one split of an output folder: joined by id, kept, and never changed unseen."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from histoblend.competition.layouts import Competition, read_competition
from histoblend.config import DataSettings, FoldSettings
from histoblend.data.decode import decode_patch
from histoblend.data.pack import Pack, pack
from histoblend.data.split import Split, SplitSettings, make_split, resolve_slide_map
from histoblend.errors import ArtifactRefusal
from histoblend.workspace import Workspace

THREE = SplitSettings(FoldSettings(count=3), DataSettings(near_duplicates="keep"))


def with_folds(**changes: Any) -> SplitSettings:
    return replace(THREE, folds=THREE.folds.model_copy(update=changes))


@pytest.fixture(scope="module")
def competition(toy: Path) -> Competition:
    return read_competition(toy)


@pytest.fixture(scope="module")
def packed(competition: Competition, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return pack(competition, tmp_path_factory.mktemp("scratch"), 1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "output")


def slide_of(competition: Competition) -> pd.DataFrame:
    assert competition.slide_map is not None
    return pd.read_csv(competition.slide_map)


def with_map(competition: Competition, path: Path, table: pd.DataFrame) -> Competition:
    table.to_csv(path, index=False)
    return replace(competition, slide_map=path)


def same(left: Split, right: Split) -> None:
    pd.testing.assert_frame_equal(left.folds, right.folds)
    pd.testing.assert_frame_equal(left.dropped, right.dropped)
    assert replace(left, folds=right.folds, dropped=right.dropped) == right


def test_row_i_of_the_split_describes_row_i_of_the_pack(
    competition: Competition, packed: Pack, workspace: Workspace
) -> None:
    folds = make_split(workspace, competition, packed, THREE).folds
    assert list(folds.columns) == ["id", "label", "slide", "fold", "twins"]
    assert list(folds.index) == list(range(len(packed.train)))
    paths = competition.train.set_index("id")["path"]
    images = packed.train_images()
    for row in (0, 17, len(folds) - 1):
        np.testing.assert_array_equal(images[row], decode_patch(paths[folds["id"][row]]))
    labels = competition.train.set_index("id")["label"]
    assert (folds["label"] == labels.loc[folds["id"]].to_numpy()).all()


def test_slides_are_joined_by_id_whatever_the_order_of_the_map(
    competition: Competition, packed: Pack, workspace: Workspace, tmp_path: Path
) -> None:
    """Joined by row order, a shuffled map would give other slides, so other folds."""
    table = slide_of(competition)
    split = make_split(workspace, competition, packed, THREE)
    expected = table.set_index("id")["wsi"].loc[split.folds["id"]]
    assert list(split.folds["slide"]) == list(expected)
    shuffled = with_map(competition, tmp_path / "shuffled.csv", table.sample(frac=1, random_state=1))
    again = make_split(Workspace(tmp_path / "other"), shuffled, packed, THREE)
    pd.testing.assert_frame_equal(again.folds, split.folds)
    assert again.fingerprint == split.fingerprint and again.policy == "map"


def test_the_split_is_joined_to_the_pack_by_id(
    competition: Competition, packed: Pack, workspace: Workspace
) -> None:
    """A pack is sorted by id, as a split is; that they agree must not hang on it."""
    made = make_split(workspace, competition, packed, THREE)
    turned = replace(packed, train=packed.train[::-1].reset_index(drop=True))
    folds = make_split(workspace, competition, turned, THREE).folds
    pd.testing.assert_frame_equal(folds, made.folds[::-1].reset_index(drop=True))


def test_a_kept_split_is_read_back_the_same(
    competition: Competition, packed: Pack, workspace: Workspace
) -> None:
    made = make_split(workspace, competition, packed, THREE)
    kept = workspace.folds.read_bytes()
    same(make_split(workspace, competition, packed, THREE), made)
    assert workspace.folds.read_bytes() == kept


def test_a_kept_split_is_aligned_with_the_pack_whatever_the_order_of_its_rows(
    competition: Competition, packed: Pack, workspace: Workspace
) -> None:
    made = make_split(workspace, competition, packed, THREE)
    rows = pd.read_csv(workspace.folds, dtype=str)
    rows.sample(frac=1, random_state=2).to_csv(workspace.folds, index=False)
    same(make_split(workspace, competition, packed, THREE), made)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"count": 2}, "count: 3 -> 2"),
        ({"seed": 5}, "seed: 0 -> 5"),
        ({"slides": "none"}, "slides: auto -> none"),
    ],
    ids=str,
)
def test_other_settings_are_refused_by_name(
    competition: Competition, packed: Pack, workspace: Workspace, changed: dict, line: str
) -> None:
    make_split(workspace, competition, packed, THREE)
    kept = workspace.folds.read_bytes()
    with pytest.raises(ArtifactRefusal, match=rf"{line}(.|\n)*--output"):
        make_split(workspace, competition, packed, with_folds(**changed))
    assert workspace.folds.read_bytes() == kept


def test_other_data_are_refused(competition: Competition, packed: Pack, workspace: Workspace) -> None:
    make_split(workspace, competition, packed, THREE)
    with pytest.raises(ArtifactRefusal, match=f"data: {packed.fingerprint} -> 0123"):
        make_split(workspace, competition, replace(packed, fingerprint="0123"), THREE)


def test_a_map_with_other_slides_is_refused_and_one_that_was_moved_is_not(
    competition: Competition, packed: Pack, workspace: Workspace, tmp_path: Path
) -> None:
    made = make_split(workspace, competition, packed, THREE)
    assert competition.slide_map is not None
    moved = replace(competition, slide_map=Path(shutil.copy(competition.slide_map, tmp_path / "moved.csv")))
    same(make_split(workspace, moved, packed, THREE), made)
    named = with_folds(slide_map=tmp_path / "moved.csv")
    same(make_split(workspace, replace(competition, slide_map=None), packed, named), made)
    table = slide_of(competition)
    other = with_map(competition, tmp_path / "other.csv", table.assign(wsi=np.roll(table["wsi"], 1)))
    with pytest.raises(ArtifactRefusal, match="slide_map: "):
        make_split(workspace, other, packed, THREE)


def test_a_map_that_comes_or_goes_under_auto_is_noticed(
    competition: Competition, packed: Pack, workspace: Workspace, tmp_path: Path
) -> None:
    """Pseudo-slides and slides are different splits: neither may follow the other without a word."""
    without = replace(competition, slide_map=None)
    made = make_split(workspace, without, packed, THREE)
    assert made.policy == "stain-clusters" and "no slide map" in made.sentence
    with pytest.raises(ArtifactRefusal, match="slide_map: None -> "):
        make_split(workspace, competition, packed, THREE)
    same(make_split(workspace, without, packed, THREE), made)

    other = Workspace(tmp_path / "other")
    assert make_split(other, competition, packed, THREE).policy == "map"
    with pytest.raises(ArtifactRefusal, match=r"slide_map: .* -> None"):
        make_split(other, without, packed, THREE)


def test_a_map_does_not_matter_where_none_is_wanted(
    competition: Competition, packed: Pack, workspace: Workspace
) -> None:
    settings = with_folds(slides="none")
    made = make_split(workspace, competition, packed, settings)
    same(make_split(workspace, replace(competition, slide_map=None), packed, settings), made)
    assert resolve_slide_map(competition, settings.folds)[0] is None


def test_a_split_whose_record_was_never_written_is_made_anew(
    competition: Competition, packed: Pack, workspace: Workspace
) -> None:
    """What a run leaves that is killed between the two files."""
    made = make_split(workspace, competition, packed, THREE)
    workspace.folds_record.unlink()
    same(make_split(workspace, competition, packed, THREE), made)
    assert workspace.folds_record.exists()


def test_a_damaged_split_or_record_is_refused(
    competition: Competition, packed: Pack, workspace: Workspace
) -> None:
    make_split(workspace, competition, packed, THREE)
    whole = workspace.folds.read_text()
    workspace.folds.write_text("\n".join(whole.splitlines()[:-3]) + "\n")
    with pytest.raises(ArtifactRefusal, match="3 training ids are not in it"):
        make_split(workspace, competition, packed, THREE)
    workspace.folds.write_text(whole)
    workspace.folds_record.write_text(workspace.folds_record.read_text()[:20])
    with pytest.raises(ArtifactRefusal, match=r"folds\.json is damaged"):
        make_split(workspace, competition, packed, THREE)
