from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.data.folds import (
    folds_fingerprint,
    inner_split,
    make_folds,
    nearest_cut,
    read_folds,
    write_folds,
)
from histoblend.errors import ArtifactRefusal, ConfigRefusal, DataRefusal


def patches(rows: int = 400, slides: int = 25, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    ids = [f"{number:05d}" for number in generator.permutation(rows)]
    return pd.DataFrame(
        {
            "id": ids,
            "label": generator.integers(0, 2, rows),
            "slide": [f"slide_{number}" for number in generator.integers(0, slides, rows)],
            "twins": [f"hash of {name}" for name in ids],
        }
    )


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_every_id_lies_in_one_fold_and_every_fold_is_another(count: int) -> None:
    frame = patches()
    folds = make_folds(frame, count, 0)
    assert list(folds.columns) == ["id", "label", "slide", "fold"]
    assert list(folds["id"]) == sorted(frame["id"])
    sizes = folds["fold"].value_counts()
    assert sorted(sizes.index) == list(range(count))  # next(splitter.split()) in a loop would give one
    assert sizes.max() < 1.5 * sizes.min()
    known = frame.set_index("id")
    assert (folds.set_index("id")["label"] == known["label"].reindex(folds["id"])).all()
    assert (folds.set_index("id")["slide"] == known["slide"].reindex(folds["id"])).all()


def test_no_slide_is_torn_and_classes_are_balanced() -> None:
    folds = make_folds(patches(2000, 60), 5, 0)
    assert (folds.groupby("slide")["fold"].nunique() == 1).all()
    assert folds.groupby("fold")["label"].mean().sub(folds["label"].mean()).abs().max() < 0.03


def test_identical_patches_share_a_fold_and_take_their_slides_with_them() -> None:
    frame = patches()
    frame.loc[[3, 77, 200], "twins"] = "white"
    assert frame.loc[[3, 77, 200], "slide"].nunique() == 3
    for seed in range(5):
        folds = make_folds(frame, 5, seed)
        slides = frame.loc[[3, 77, 200], "slide"]
        assert folds.loc[folds["slide"].isin(slides), "fold"].nunique() == 1


def test_without_slides_identical_patches_still_share_a_fold() -> None:
    frame = patches().assign(slide=lambda table: table["id"])
    frame["twins"] = [f"hash {number // 2}" for number in range(len(frame))]
    folds = make_folds(frame, 5, 0).merge(frame[["id", "twins"]], on="id")
    assert (folds.groupby("twins")["fold"].nunique() == 1).all()
    assert folds["fold"].value_counts().tolist() == [80] * 5


def test_row_order_does_not_matter_and_the_seed_does() -> None:
    frame = patches()
    folds = make_folds(frame, 5, 0)
    shuffled = frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(make_folds(shuffled, 5, 0), folds)
    assert not make_folds(frame, 5, 1)["fold"].equals(folds["fold"])


def test_too_few_groups_or_one_class_is_refused() -> None:
    frame = patches(40, 3)
    with pytest.raises(DataRefusal, match="fall into 3 that may be parted"):
        make_folds(frame, 5, 0)
    with pytest.raises(DataRefusal, match="near_duplicates=keep"):
        make_folds(patches().assign(twins="white"), 5, 0)
    pure = patches(40, 5)
    pure["label"] = (pure["slide"] == "slide_0").astype(int)
    with pytest.raises(DataRefusal, match="lack a class"):
        make_folds(pure, 5, 0)
    with pytest.raises(ConfigRefusal, match="1 folds"):
        make_folds(frame, 1, 0)


def test_the_fingerprint_follows_the_split_and_not_the_row_order() -> None:
    folds = make_folds(patches(), 5, 0)
    assert folds_fingerprint(folds) == folds_fingerprint(folds.sample(frac=1, random_state=0))
    moved = folds.assign(fold=folds["fold"].where(folds["id"] != "00007", (folds["fold"] + 1) % 5))
    renamed = folds.assign(slide=folds["slide"].replace("slide_3", "slide_33"))
    assert len({folds_fingerprint(table) for table in (folds, moved, renamed)}) == 3


def test_the_inner_split_is_grouped_stratified_and_blind_to_the_scored_fold() -> None:
    frame = patches(2000, 80)
    frame.loc[[0, 50], "twins"] = "white"
    folds = make_folds(frame, 5, 0).merge(frame[["id", "twins"]], on="id")
    training = (folds["fold"] != 2).to_numpy()
    held_out = inner_split(folds, training, 0.15, 0)
    assert held_out.dtype == bool and len(held_out) == len(folds)
    assert not (held_out & ~training).any()
    rest = training & ~held_out
    assert not set(folds["slide"][held_out]) & set(folds["slide"][rest])
    assert not set(folds["twins"][held_out]) & set(folds["twins"][rest])
    assert abs(held_out.sum() / training.sum() - 0.15) < 0.03
    assert abs(folds["label"][held_out].mean() - folds["label"][rest].mean()) < 0.05
    shuffled = folds.sample(frac=1, random_state=3)
    again = inner_split(shuffled, (shuffled["fold"] != 2).to_numpy(), 0.15, 0)
    assert set(shuffled["id"][again]) == set(folds["id"][held_out])


def test_the_inner_split_is_the_same_whatever_the_scored_fold_holds() -> None:
    folds = patches(1000, 40)
    folds["fold"] = make_folds(folds, 5, 0).set_index("id")["fold"].loc[folds["id"]].to_numpy()
    training = (folds["fold"] != 0).to_numpy()
    changed = folds.assign(label=np.where(training, folds["label"], 1 - folds["label"]))
    np.testing.assert_array_equal(
        inner_split(folds, training, 0.2, 0), inner_split(changed, training, 0.2, 0)
    )


@pytest.mark.parametrize("slides", [1, 2])
def test_an_impossible_inner_split_is_refused(slides: int) -> None:
    frame = patches(100, 4)
    frame["slide"] = [f"slide_{number % slides}" for number in range(100)]
    frame["label"] = (frame["slide"] == "slide_0").astype(int)
    with pytest.raises(DataRefusal, match="inner split of 10% cannot be cut"):
        inner_split(frame, np.ones(100, bool), 0.1, 0)


def edited(change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda path: path.write_text(change(path.read_text()))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda path: path.unlink(), "cannot be read"),
    "empty": (lambda path: path.write_text(""), "cannot be read"),
    "other columns": (edited(lambda text: text.replace("slide,fold", "slide,part", 1)), "cannot be read"),
    "fold no number": (edited(lambda text: text.rstrip()[:-1] + "x\n"), "cannot be read"),
    "broken off": (edited(lambda text: text[: text.index("00300") + 5]), "cannot be read"),
    "row lost": (edited(lambda text: text[: text.rindex("00399")]), "1 training ids are not in it .00399"),
    "row doubled": (edited(lambda text: text + text.splitlines()[-1]), "stand in it more than once: 00399"),
    "foreign id": (
        edited(lambda text: text.replace("00007,", "zzz,")),
        "1 of its ids are not in training .zzz",
    ),
    "label changed": (
        edited(
            lambda text: (
                text.replace("00007,0", "00007,2").replace("00007,1", "00007,0").replace("7,2", "7,1")
            )
        ),
        "labels of 1 ids have changed: 00007",
    ),
    "fold missing": (edited(lambda text: text.replace(",4\n", ",5\n")), "its folds are 0, 1, 2, 3, 5"),
    "all fold 0": (
        edited(
            lambda text: "\n".join(
                [text.splitlines()[0], *(line[:-1] + "0" for line in text.splitlines()[1:])]
            )
        ),
        "its folds are 0 in place",
    ),
    "slide torn": (
        edited(lambda text: text.rstrip()[:-1] + str((int(text.rstrip()[-1]) + 1) % 5) + "\n"),
        "slides lie in more than one fold",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_file_is_named(tmp_path: Path, fault: str) -> None:
    frame = patches()
    path = tmp_path / "folds.csv"
    write_folds(path, make_folds(frame, 5, 0))
    apply, words = FAULTS[fault]
    apply(path)
    with pytest.raises(ArtifactRefusal, match=words):
        read_folds(path, frame[["id", "label"]])


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    frame = patches()
    frame.loc[frame["slide"] == "slide_1", "slide"] = "NA"  # a name, not a missing value
    folds = make_folds(frame, 5, 0)
    write_folds(tmp_path / "folds.csv", folds)
    again = read_folds(tmp_path / "folds.csv", frame.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(again, folds, check_dtype=False)
    assert again["fold"].dtype == "int64" and folds_fingerprint(again) == folds_fingerprint(folds)


def test_a_split_that_is_none_is_not_written(tmp_path: Path) -> None:
    folds = make_folds(patches(), 5, 0)
    with pytest.raises(ArtifactRefusal, match="more than once"):
        write_folds(tmp_path / "folds.csv", pd.concat([folds, folds]))
    assert not (tmp_path / "folds.csv").exists()


def test_an_inner_split_is_found_wherever_there_is_one() -> None:
    """Seven slides, class 4 in two of them: the greedy deal misses what looking at all sets finds."""
    groups = np.repeat(np.arange(7), 20)
    labels = np.array([[0, 1, 2, 3] * 5] * 5 + [[0, 1, 2, 3, 4] * 4] * 2).ravel()
    cut = nearest_cut(groups, labels, 0.15)
    assert cut.sum() == 20 and set(groups[cut]) < {5, 6}
    assert set(labels[cut]) == set(labels[~cut]) == set(range(5))
    assert not nearest_cut(groups, np.where(groups == 0, 5, labels), 0.15).any()  # class 5 lies in one slide
