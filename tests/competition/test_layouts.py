from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from histoblend.competition.layouts import read_competition
from histoblend.errors import DataRefusal


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return apply


def remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


def add(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(b"x")


def empty(name: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        for path in (root / name).iterdir():
            path.unlink()

    return apply


def packed(name: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        empty(name)(root)
        (root / name).rmdir()
        (root / f"{name}.zip").write_bytes(b"PK")

    return apply


def nested(name: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        (root / name).rename(root / "inner")
        (root / name).mkdir()
        (root / "inner").rename(root / name / name)

    return apply


def rewrite_labels(label: Callable[[int], object]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        rows = [f"00{number},{label(number)}" for number in range(20)]
        (root / "train_labels.csv").write_text("\n".join(["id,label", *rows]))

    return apply


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "duplicated train id": (
        edit("train_labels.csv", "003,1\n", "003,1\n003,0\n"),
        "1 id more than once: 003",
    ),
    "train id missing": (
        edit("train_labels.csv", "003,1\n", ""),
        "1 file in .*train without an id .*: 003.tif",
    ),
    "train id extra": (
        edit("train_labels.csv", "003,1\n", "003,1\nabc,0\n"),
        "1 id of train_labels.csv .*: abc",
    ),
    "train file missing": (remove("train/007.tif"), "1 id of train_labels.csv without a file .*: 007"),
    "train file extra": (add("train/zzz.tif"), "1 file in .*train without an id .*: zzz.tif"),
    "two files of one id": (add("train/007.TIFF"), "share their id with another file: 007"),
    "file that is no patch": (add("train/003.tif.part"), "1 entries that are no patches: 003.tif.part"),
    "label 2": (edit("train_labels.csv", "003,1\n", "003,2\n"), "other than 0 and 1 for 1 id: 003=2"),
    "label 0.5": (edit("train_labels.csv", "003,1\n", "003,0.5\n"), "003=0.5"),
    "one class": (rewrite_labels(lambda _: 1), "All 20 labels in .* are 1"),
    "no labels": (remove("train_labels.csv"), "no train_labels.csv"),
    "empty labels": (edit("train_labels.csv", "id,label", ""), "wrong columns"),
    "empty train": (empty("train"), "train is empty of patches: it holds nothing"),
    "empty test": (empty("test"), "test is empty of patches"),
    "train packed": (packed("train"), "train.zip is still packed"),
    "test packed": (packed("test"), "test.zip is still packed"),
    "train in train": (nested("train"), "train is empty of patches: it holds train"),
    "sample id missing": (
        edit("sample_submission.csv", "3e5,0\n", ""),
        "1 file in .*test without .*: 3e5.tif",
    ),
    "sample id extra": (edit("sample_submission.csv", "3e5,0\n", "3e5,0\nabc,0\n"), "1 id of sample.*: abc"),
    "sample id twice": (edit("sample_submission.csv", "3e5,0\n", "3e5,0\n3e5,0\n"), "more than once: 3e5"),
    "sample label a word": (edit("sample_submission.csv", "3e5,0\n", "3e5,no\n"), "no numbers: no"),
    "sample label infinite": (edit("sample_submission.csv", "3e5,0\n", "3e5,inf\n"), "no numbers: inf"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_at_the_door(toy: Path, fault: str) -> None:
    apply, words = FAULTS[fault]
    apply(toy)
    with pytest.raises(DataRefusal, match=words) as refusal:
        read_competition(toy)
    said = str(refusal.value)
    assert "Expected:" in said and "To do:" in said


def test_a_sound_competition(toy: Path) -> None:
    competition = read_competition(toy)
    assert list(competition.train["id"]) == [f"00{number}" for number in range(20)]
    assert list(competition.train["label"]) == [0, 1] * 10
    assert competition.train["label"].dtype == "int64"
    assert all(
        Path(path).stem == id for id, path in zip(*competition.train[["id", "path"]].T.values, strict=True)
    )
    assert list(competition.test["id"]) == [f"{number}e5" for number in reversed(range(8))]
    assert all(Path(path).is_file() for path in competition.test["path"])
    assert competition.sample is not None and competition.sample["label"].dtype == "int64"
    assert competition.class_counts() == {"no tumour": 10, "tumour": 10}
    assert (competition.layout, competition.notes, competition.synthetic) == ("hcd", (), False)
    assert (competition.name, competition.slide_map, competition.known_labels) == ("toy", None, None)
    assert (competition.train["row"] == -1).all() and (competition.test["row"] == -1).all()
    assert competition.train["row"].dtype == "int64"


def test_the_real_patches_read_as_their_tables_say(hcd_mini: Path) -> None:
    competition = read_competition(hcd_mini)
    labels = pd.read_csv(hcd_mini / "train_labels.csv", dtype={"id": str})
    sample = pd.read_csv(hcd_mini / "sample_submission.csv", dtype={"id": str})
    root = hcd_mini.resolve()
    assert list(competition.train["id"]) == list(labels["id"])
    assert list(competition.train["label"]) == list(labels["label"])
    assert list(competition.train["path"]) == [f"{root}/train/{name}.tif" for name in labels["id"]]
    assert list(competition.test["id"]) == list(sample["id"])
    assert list(competition.test["path"]) == [f"{root}/test/{name}.tif" for name in sample["id"]]
    assert (competition.layout, competition.classes) == ("hcd", ("no tumour", "tumour"))
    assert (competition.notes, competition.known_labels, competition.slides) == ((), None, None)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".gif", ".webp"])
def test_pictures_of_other_suffixes_are_taken(toy: Path, suffix: str) -> None:
    for path in (toy / "train").iterdir():
        path.rename(path.with_suffix(suffix))
    assert set(read_competition(toy).train["path"].map(lambda path: Path(path).suffix)) == {suffix}


def test_holdout_is_refused_for_there_is_no_validation_part(toy: Path) -> None:
    with pytest.raises(DataRefusal, match="toy has no validation part"):
        read_competition(toy, use_valid="holdout")


def test_the_sample_keeps_columns_dtype_and_order(toy: Path) -> None:
    (toy / "sample_submission.csv").write_text(
        "label,id\n" + "".join(f"0.5,{number}e5\n" for number in (3, 0, 7, 1, 2, 4, 6, 5))
    )
    sample = read_competition(toy).sample
    assert sample is not None
    assert list(sample.columns) == ["label", "id"]
    assert sample["label"].dtype == "float64"
    assert list(sample["id"]) == [f"{number}e5" for number in (3, 0, 7, 1, 2, 4, 6, 5)]


def test_without_a_sample_the_ids_come_from_the_files_and_it_is_said(toy: Path) -> None:
    (toy / "sample_submission.csv").unlink()
    competition = read_competition(toy)
    assert competition.sample is None
    assert list(competition.test["id"]) == [f"{number}e5" for number in range(8)]
    assert "no sample_submission.csv: the 8 test ids" in competition.notes[0]


def test_clutter_of_operating_systems_is_passed_over(toy: Path) -> None:
    for name in (".DS_Store", "._001.tif", "Thumbs.db"):
        (toy / "train" / name).write_bytes(b"x")
    assert len(read_competition(toy).train) == 20


def test_labels_written_as_floats_are_taken(toy: Path) -> None:
    rewrite_labels(lambda number: float(number % 2))(toy)
    assert read_competition(toy).class_counts() == {"no tumour": 10, "tumour": 10}


def test_many_offenders_are_cut_short_with_their_count(toy: Path) -> None:
    for path in (toy / "train").iterdir():
        path.unlink()
    (toy / "train" / "000.tif").write_bytes(b"x")
    with pytest.raises(DataRefusal, match=r"19 ids .* \(19 in all\)"):
        read_competition(toy)


def test_ids_and_files_that_do_not_meet_are_named_together(toy: Path) -> None:
    (toy / "test" / "3e5.tif").rename(toy / "test" / "new.tif")
    with pytest.raises(DataRefusal, match=r"without a file in .*: 3e5; 1 file in .*: new\.tif"):
        read_competition(toy)


def test_ids_in_both_parts_are_said(toy: Path) -> None:
    (toy / "test" / "3e5.tif").rename(toy / "test" / "003.tif")
    edit("sample_submission.csv", "3e5,", "003,")(toy)
    assert "1 ids name a patch in train/ and another in test/: 003" in read_competition(toy).notes[0]


def test_the_full_slide_map_beside_the_patches_is_found_first(toy: Path) -> None:
    (toy.parent / "patch_id_wsi.csv").write_text("id,wsi\n")
    assert read_competition(toy).slide_map == toy.parent.resolve() / "patch_id_wsi.csv"
    (toy / "patch_id_wsi_full.csv").write_text("id,wsi\n")
    assert read_competition(toy).slide_map == toy.resolve() / "patch_id_wsi_full.csv"


@pytest.mark.parametrize(
    ("mount", "dataset"),
    [
        ("histopathologic-cancer-detection", "histopathologicwsifull"),
        ("competitions/histopathologic-cancer-detection", "datasets/someone/histopathologicwsifull"),
    ],
)
def test_a_slide_map_in_another_kaggle_mount_is_found(
    toy: Path, tmp_path: Path, mount: str, dataset: str
) -> None:
    kaggle = tmp_path / "kaggle" / "input"
    (kaggle / mount).parent.mkdir(parents=True)
    toy.rename(kaggle / mount)
    (kaggle / dataset).mkdir(parents=True)
    table = kaggle / dataset / "patch_id_wsi_full.csv"
    table.write_text("id,wsi\n")
    assert read_competition(kaggle / mount, kaggle).slide_map == table
    assert read_competition(kaggle / mount).slide_map is None  # not on Kaggle: other folders are not searched


def test_only_a_synthetic_competition_has_known_labels(toy: Path) -> None:
    from histoblend.competition.synthetic import MARKER

    rows = [f"{number}e5,{number % 2}" for number in range(8)]
    (toy / "solution.csv").write_text("\n".join(["id,label", *rows, ""]))
    with pytest.raises(DataRefusal, match=r"solution\.csv"):  # beside real patches it can only be a leak
        read_competition(toy)
    (toy / MARKER).write_text("synthetic")
    competition = read_competition(toy)
    assert competition.synthetic and competition.known_labels is not None
    assert competition.known_labels.to_dict("list") == {
        "id": [f"{number}e5" for number in range(8)],
        "label": [0, 1] * 4,
    }
    (toy / "solution.csv").unlink()
    assert read_competition(toy).known_labels is None
