"""Nobody is told to throw trained weights away for a table that any run writes anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from histoblend.restoring import remedy_for
from histoblend.workspace import Workspace, write_text


@pytest.mark.parametrize(
    "file",
    [
        "experiments/a/oof.csv",
        "experiments/a/test.csv",
        "ensembles/p_greedy/oof.csv",
        "experiments/a/metrics.json",
    ],
)
def test_what_any_run_writes_anew_leaves_the_folder_alone(tmp_path: Path, file: str) -> None:
    said = remedy_for(tmp_path / file)
    assert "the same ./run.sh run command write it again" in said
    assert str(tmp_path) not in said


def test_a_file_of_a_fold_sends_that_fold_alone_back(tmp_path: Path) -> None:
    task = Workspace(tmp_path).experiment("a").task(3)
    assert f"move {task.folder} away" in remedy_for(task.out_of_fold)


def test_the_split_comes_back_from_data_and_seed(tmp_path: Path) -> None:
    assert f"move {tmp_path / 'folds.csv'} away" in remedy_for(tmp_path / "folds.csv")


def test_what_was_added_is_added_anew(tmp_path: Path) -> None:
    folder = Workspace(tmp_path).experiment("guest")
    write_text(folder.config, "kind: external\n")
    assert f"./run.sh archive guest --output {tmp_path}" in remedy_for(folder.out_of_fold)
