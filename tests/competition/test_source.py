from __future__ import annotations

from pathlib import Path

import pytest

from histoblend.competition.door import Door
from histoblend.competition.source import find_source
from histoblend.errors import DataRefusal


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    for part in ("train", "valid"):
        for name in ("Car", "Truck"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "a.jpg").write_bytes(b"x")
    return tmp_path


def test_what_becomes_of_the_validation_part_is_passed_on(cars: Path) -> None:
    joined = find_source(cars, {}, cars / "none")
    apart = find_source(cars, {}, cars / "none", use_valid="holdout")
    assert joined is not None and apart is not None
    assert (len(joined.competition.train), len(apart.competition.train)) == (4, 2)
    assert joined.reason == "--data names it, laid out as image folders."


def test_the_door_is_passed_on(cars: Path) -> None:
    (cars / "train" / "Bus").mkdir()
    with pytest.raises(DataRefusal, match="Bus is empty"):
        find_source(cars, {}, cars / "none")
    door = Door(lenient=True)
    assert find_source(cars, {}, cars / "none", door=door) is not None
    assert len(door.refusals) == 1
