from __future__ import annotations

from pathlib import Path

import pytest

from histoblend.competition.door import Door
from histoblend.competition.layouts import read_competition
from histoblend.errors import DataRefusal


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_lenient_door_names_everything_wrong_at_once_and_keeps_the_sound_rows(toy: Path) -> None:
    labels, sample = toy / "train_labels.csv", toy / "sample_submission.csv"
    replace(labels, "003,1\n", "003,1\n003,1\n")  # agree: the first is kept
    replace(labels, "004,0\n", "004,0\n004,1\n")  # contradict each other: both go
    replace(labels, "005,1\n", "005,2\n")
    replace(labels, "006,0\n", "006,0,0\n")
    replace(labels, "007,1\n", "007,\n")
    (toy / "train" / "008.tif").unlink()
    (toy / "train" / "stray.txt").write_text("x")
    (toy / "train" / "009.png").write_bytes(b"x")
    replace(sample, "3e5,0\n", "3e5,no\n")
    (toy / "test" / "2e5.tif").unlink()
    door = Door(lenient=True)
    competition = read_competition(toy, door=door)
    said = [refusal.found for refusal in door.refusals]
    for words in (
        "lines without 2 cells (line 10)",
        "empty or NaN cells in 1 lines (line 11)",
        "2 ids more than once: 003, 004",
        "1 id: 005=2",
        "no patches: stray.txt",
        "share their id with another file: 009.tif",
        "1 id of train_labels.csv without a file",
        "1 id of sample_submission.csv without a file",
        "labels that are no numbers: no",
    ):
        assert sum(words in one for one in said) == 1, words
    assert len(said) == 9
    kept = [f"00{number}" for number in range(20) if number not in (4, 5, 6, 7, 8)]
    assert list(competition.train["id"]) == kept
    assert list(competition.train["label"]) == [int(name[2:]) % 2 for name in kept]
    assert list(competition.test["id"]) == [f"{number}e5" for number in reversed(range(8)) if number != 2]
    assert competition.sample is not None and list(competition.sample["id"]) == list(competition.test["id"])


def test_the_same_faults_stop_a_strict_door_at_the_first(toy: Path) -> None:
    replace(toy / "train_labels.csv", "005,1\n", "005,2\n")
    (toy / "train" / "008.tif").unlink()
    with pytest.raises(DataRefusal, match="005=2") as refusal:
        read_competition(toy)
    assert "008" not in str(refusal.value)


def test_a_lenient_door_goes_on_without_a_test_part(toy: Path) -> None:
    for path in (toy / "test").iterdir():
        path.unlink()
    door = Door(lenient=True)
    competition = read_competition(toy, door=door)
    assert len(competition.train) == 20 and len(competition.test) == 0
    assert len(door.refusals) == 1 and "test is empty of patches" in door.refusals[0].found


def test_a_lone_class_is_named_by_a_lenient_door(toy: Path) -> None:
    rows = [f"00{number},1" for number in range(20)]
    (toy / "train_labels.csv").write_text("\n".join(["id,label", *rows]))
    door = Door(lenient=True)
    assert read_competition(toy, door=door).class_counts() == {"no tumour": 0, "tumour": 20}
    assert "All 20 labels" in door.refusals[0].found


def test_where_nothing_sound_is_left_a_lenient_door_stops_too(toy: Path) -> None:
    replace(toy / "train_labels.csv", ",1\n", ",8\n")
    replace(toy / "train_labels.csv", ",0\n", ",9\n")
    with pytest.raises(
        DataRefusal, match=r"(?s)Nothing sound is left in .*train.*other than 0 and 1 for 20 ids"
    ):
        read_competition(toy, door=Door(lenient=True))
    (toy / "train_labels.csv").unlink()
    with pytest.raises(DataRefusal, match=r"no train_labels.csv"):
        read_competition(toy, door=Door(lenient=True))


def test_passing_keeps_a_refusal_only_where_the_door_is_lenient() -> None:
    lenient, strict = Door(lenient=True), Door()
    with lenient.passing():
        raise DataRefusal("one")
    assert [refusal.found for refusal in lenient.refusals] == ["one"]
    with pytest.raises(DataRefusal, match="one"), strict.passing():
        raise DataRefusal("one")
