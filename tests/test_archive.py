"""Putting artifacts aside: moved whole, under a name of their own, and nothing else touched."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from histoblend.archive import archive_experiment
from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.workspace import Workspace, locked


@pytest.fixture
def output(tmp_path: Path, toy_configs: Path) -> Path:
    for name in ("first", "second.seed1"):
        fold = tmp_path / "output/experiments" / name / "fold_0"
        fold.mkdir(parents=True)
        (fold / "done.json").write_text(name)
    (tmp_path / "output/submission.csv").write_text("id,label\n")
    return tmp_path / "output"


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".lock"))
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def archived(name: str, output: Path | None) -> Path:
    return archive_experiment(name, output, dict(os.environ))


def test_the_whole_folder_moves_and_its_name_is_free(output: Path) -> None:
    before = contents(output)
    target = archived("first", output)
    assert target.parent == output / "archive" and re.fullmatch(r"first-\d{8}-\d{6}", target.name)
    moved = {
        name.replace("experiments/first", f"archive/{target.name}"): text for name, text in before.items()
    }
    assert contents(output) == moved
    assert not (output / "experiments/first").exists()


def test_two_archives_of_one_name_stand_side_by_side(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = archived("first", output)
    (output / "experiments/first").mkdir()
    (output / "experiments/first/new").write_text("new")
    monkeypatch.setattr(time, "strftime", lambda _: first.name.removeprefix("first-"))
    with pytest.raises(MachineRefusal):  # within the same second: refused, not laid over the older one
        archived("first", output)
    assert (output / "experiments/first/new").exists() and (first / "fold_0/done.json").exists()
    monkeypatch.undo()
    monkeypatch.setattr(time, "strftime", lambda _: "20990101-000000")
    assert contents(archived("first", output)) == {"new": "new"}
    assert contents(first) == {"fold_0/done.json": "first"}


@pytest.mark.parametrize(
    ("name", "nearest"), [("frist", "first"), ("second", "second.seed1"), ("first/", "first")]
)
def test_an_unknown_name_is_refused_with_its_nearest(output: Path, name: str, nearest: str) -> None:
    before = contents(output)
    with pytest.raises(ArtifactRefusal, match=f"Did you mean {nearest}"):
        archived(name, output)
    assert contents(output) == before


@pytest.mark.parametrize("name", ["", ".", "..", "first/fold_0", "../experiments"])
def test_what_is_no_experiment_stays_where_it_is(output: Path, name: str) -> None:
    """`histoblend archive "$NAME"` with an unset variable must not carry off all experiments."""
    before = contents(output)
    with pytest.raises(ArtifactRefusal):
        archived(name, output)
    assert contents(output) == before


def test_without_any_artifacts_another_output_is_suggested(tmp_path: Path, toy_configs: Path) -> None:
    with pytest.raises(ArtifactRefusal, match="Was it another --output"):
        archived("fist", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_a_run_works_on_is_left_alone(output: Path) -> None:
    with locked(Workspace(output)), pytest.raises(MachineRefusal, match="in use by the run"):
        archived("first", output)
    assert (output / "experiments/first/fold_0/done.json").exists()


def test_the_output_folder_is_the_runs_own_by_default(output: Path, toy_configs: Path) -> None:
    output.rename(toy_configs.parent / "output")
    assert archived("first", None).parent == toy_configs.parent / "output/archive"
