from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histoblend.competition.door import Door
from histoblend.competition.layouts import Competition, read_competition
from histoblend.errors import DataRefusal


def save(
    root: Path, labels: object, pictures: np.ndarray | None = None, test: np.ndarray | None = None
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "labels.npy", np.asarray(labels))
    np.save(root / "train.npy", np.zeros((4, 8, 8, 3), np.uint8) if pictures is None else pictures)
    if test is not None:
        np.save(root / "test.npy", test)
    return root


def read(root: Path, labels: object) -> Competition:
    return read_competition(save(root, labels))


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([0, 1, 1, 0], ("0", "1"), [0, 1, 1, 0]),
        ([[3], [12], [3], [7]], ("3", "7", "12"), [0, 2, 0, 1]),
        ([True, False, True, True], ("False", "True"), [1, 0, 1, 1]),
        (["truck", "car", "car", "bus"], ("bus", "car", "truck"), [2, 1, 1, 0]),
        ([b"truck", b"car", b"car", b"car"], ("car", "truck"), [1, 0, 0, 0]),
        ([0.0, 1.0, 0.0, 0.0], ("0", "1"), [0, 1, 0, 0]),
        (np.eye(3, dtype=np.float32)[[2, 0, 1, 1]], ("0", "1", "2"), [2, 0, 1, 1]),
        (np.uint8([10, 9, 9, 10]), ("9", "10"), [1, 0, 0, 1]),
    ],
)
def test_labels_of_every_kind(
    tmp_path: Path, labels: object, classes: tuple[str, ...], expected: list[int]
) -> None:
    competition = read(tmp_path, labels)
    assert competition.classes == classes
    assert list(competition.train["label"]) == expected and competition.train["label"].dtype == "int64"


def test_ids_rows_and_path(tmp_path: Path) -> None:
    root = save(tmp_path / "arrays", [0, 1, 1, 0], test=np.zeros((2, 8, 8), np.float32))
    competition = read_competition(root)
    assert (competition.layout, competition.name) == ("npy", "arrays")
    assert list(competition.train["id"]) == [f"train_000000{row}" for row in range(4)]
    assert list(competition.train["row"]) == [0, 1, 2, 3] and competition.train["row"].dtype == "int64"
    assert set(competition.train["path"]) == {str(root.resolve() / "train.npy")}
    assert list(competition.test["id"]) == ["test_0000000", "test_0000001"]
    assert set(competition.test["path"]) == {str(root.resolve() / "test.npy")}
    assert (competition.sample, competition.known_labels, competition.slides) == (None, None, None)
    assert "laid out as npy; its classes are 0 = 0, 1 = 1" in competition.notes[0]


def test_without_test_npy_nothing_is_to_be_submitted(tmp_path: Path) -> None:
    competition = read(tmp_path, [0, 1, 1, 0])
    assert len(competition.test) == 0 and competition.sample is not None and len(competition.sample) == 0


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 8, 8), np.uint8), ((4, 8, 9, 1), np.uint16), ((4, 8, 8, 4), np.bool_), ((4, 8, 8, 3), np.float64)],
)
def test_pictures_of_every_kind(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    root = save(tmp_path, [0, 1, 1, 0], np.zeros(shape, dtype))
    assert len(read_competition(root).train) == 4


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (np.zeros((4, 8), np.uint8), "train.npy has the shape 4x8"),
        (np.zeros((4, 3, 8, 8), np.uint8), r"(?s)the shape 4x3x8x8.*np.transpose\(array, \(0, 2, 3, 1\)\)"),
        (np.zeros((0, 8, 8), np.uint8), "the shape 0x8x8"),
        (np.zeros((4, 8, 8), np.int64), r"(?s)holds int64 numbers.*astype\(np.uint8\)"),
        (np.array([[None]] * 4, dtype=object), "(?s)cannot be read.*objects are never unpickled"),
        (np.zeros((3, 8, 8), np.uint8), r"labels.npy has the shape \(4,\), but train.npy holds 3 pictures"),
    ],
)
def test_pictures_that_are_none_are_refused(tmp_path: Path, pictures: np.ndarray, words: str) -> None:
    with pytest.raises(DataRefusal, match=words):
        read_competition(save(tmp_path, [0, 1, 1, 0], pictures))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, 1, 1, 1], "All labels in .*labels.npy are 1"),
        ([0, 1, 1], r"labels.npy has the shape \(3,\), but train.npy holds 4"),
        ([0.5, 1, 0, 0], "1 labels that are no whole numbers: row 0"),
        ([0, 1, np.nan, np.inf], "2 labels that are no whole numbers: row 2, 3"),
        (["a", "b", "", "a"], "1 labels that are empty: row 2"),
        ([[1, 0], [0, 1], [1, 1], [0, 0]], "2 labels that are not one-hot .*: row 2, 3"),
        (np.eye(3)[[0, 1, 1, 0]], "columns 2 are never 1"),
        (np.zeros((4, 2, 2)), r"the shape \(4, 2, 2\)"),
        (np.array([0, 1, 1, None], dtype=object), r"(?s)Python objects.*np.array\(labels, dtype=str\)"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, labels: object, words: str) -> None:
    with pytest.raises(DataRefusal, match=words):
        read(tmp_path, labels)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array at all"])
def test_files_that_are_no_arrays_are_refused(tmp_path: Path, content: bytes) -> None:
    root = save(tmp_path, [0, 1, 1, 0])
    (root / "train.npy").write_bytes(content)
    with pytest.raises(DataRefusal, match=r"train.npy cannot be read"):
        read_competition(root)


def test_an_array_cut_short_and_an_archive_are_refused(tmp_path: Path) -> None:
    root = save(tmp_path, [0, 1, 1, 0])
    content = (root / "train.npy").read_bytes()
    (root / "train.npy").write_bytes(content[:-100])
    with pytest.raises(DataRefusal, match=r"(?s)train.npy cannot be read.*copy it again"):
        read_competition(root)
    np.savez(root / "arrays.npz", a=np.zeros(3))
    (root / "arrays.npz").rename(root / "train.npy")
    with pytest.raises(DataRefusal, match=r"is an .npz archive"):
        read_competition(root)


def test_holdout_is_refused_because_there_is_nothing_to_hold_out(tmp_path: Path) -> None:
    with pytest.raises(DataRefusal, match="has no validation part"):
        read_competition(save(tmp_path, [0, 1, 1, 0]), use_valid="holdout")


def test_a_lenient_door_drops_unsound_labels_and_an_unsound_test_array(tmp_path: Path) -> None:
    door = Door(lenient=True)
    root = save(tmp_path, [0.5, 1, 0, 1], test=np.zeros((2, 8), np.uint8))
    competition = read_competition(root, door=door)
    assert [refusal.found.split(" has ")[1][:20] for refusal in door.refusals] == [
        "1 labels that are no",
        "the shape 2x8.",
    ]
    assert list(competition.train["row"]) == [1, 2, 3] and list(competition.train["label"]) == [1, 0, 1]
    assert competition.train["id"].iloc[0] == "train_0000001" and len(competition.test) == 0
