from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.workspace import (
    File,
    Workspace,
    atomic_write,
    fingerprint,
    locked,
    read_json,
    scratch_folder,
    write_csv,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failing(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture
def old(tmp_path: Path) -> Path:
    write_text(tmp_path / "folder/table.csv", "old")
    return tmp_path / "folder/table.csv"


def test_a_finished_write_leaves_one_file(old: Path):
    write_text(old, "new")
    assert old.read_text() == "new"
    assert names(old.parent) == [old.name]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_what_breaks_inside_a_write_leaves_the_old_content(old: Path, error: BaseException):
    with pytest.raises(type(error)), atomic_write(old) as temporary:
        temporary.write_text("half")
        raise error
    assert old.read_text() == "old"
    assert names(old.parent) == [old.name]


@pytest.mark.parametrize("where", ["fsync", "replace", "write_text"])
def test_a_full_disk_is_told_and_leaves_the_old_content(
    old: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    target = os if where == "fsync" else Path
    monkeypatch.setattr(target, where, failing(errno.ENOSPC))
    with pytest.raises(MachineRefusal, match=r"disk is full(.|\n)*--output"):
        write_text(old, "new")
    monkeypatch.undo()
    assert old.read_text() == "old"
    assert names(old.parent) == [old.name]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    monkeypatch.setattr(Path, "mkdir", failing(number))
    with pytest.raises(MachineRefusal, match=r"cannot be written(.|\n)*--output"):
        write_text(tmp_path / "table.csv", "new")
    with (
        pytest.raises(MachineRefusal, match="cannot be written"),
        locked(Workspace(tmp_path / "output")),
    ):
        pytest.fail("the folder is not held")


def test_a_file_where_a_folder_should_be(old: Path):
    with pytest.raises(MachineRefusal, match=r"table\.csv"):
        write_text(old / "below.txt", "new")


def test_temporary_names_keep_the_suffixes_that_writers_go_by(tmp_path: Path):
    with atomic_write(tmp_path / "model.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")
        assert temporary.parent == tmp_path
        temporary.write_text("x")


def test_floats_come_back_to_the_last_bit(tmp_path: Path):
    frame = pd.DataFrame(
        {"logit": np.random.default_rng(0).normal(size=500) * 10.0 ** np.arange(-25, 25).repeat(10)}
    )
    write_csv(tmp_path / "table.csv", frame)
    again = pd.read_csv(tmp_path / "table.csv", float_precision="round_trip")
    np.testing.assert_array_equal(again["logit"], frame["logit"])


def test_json_takes_numpy_numbers_and_paths(tmp_path: Path):
    write_json(tmp_path / "a.json", {"auc": np.float64(0.5), "n": np.int64(3), "root": Path("/data")})
    assert read_json(tmp_path / "a.json") == {"auc": 0.5, "n": 3, "root": str(Path("/data"))}


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe"])
def test_damaged_json_is_refused_by_name(tmp_path: Path, content: bytes):
    (tmp_path / "done.json").write_bytes(content)
    with pytest.raises(ArtifactRefusal, match=r"done.json is damaged"):
        read_json(tmp_path / "done.json")


def test_a_fingerprint_does_not_depend_on_the_order_of_keys():
    assert fingerprint({"a": 1, "b": {"c": [1, 2], "d": None}}) == fingerprint(
        {"b": {"d": None, "c": [1, 2]}, "a": 1}
    )


def test_a_fingerprint_is_the_same_in_another_process():
    code = "from histoblend.workspace import fingerprint; print(fingerprint({'a': [1.5, 'x'], 'b': True}))"
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == fingerprint({"b": True, "a": [1.5, "x"]})


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {"a": 1, "b": None}])
def test_other_content_has_another_fingerprint(other: dict):
    assert fingerprint({"a": 1}) != fingerprint(other)


HOLD = """
import sys
from pathlib import Path
from histoblend.workspace import Workspace, locked
with locked(Workspace(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_holds_between_processes_and_goes_with_a_killed_one(tmp_path: Path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(MachineRefusal, match=rf"process id {holder.pid}\b(.|\n)*--output"),
            locked(Workspace(tmp_path)),
        ):
            pytest.fail("the folder is held by another process")
    finally:
        holder.kill()
        holder.communicate()
    with locked(Workspace(tmp_path)):
        assert read_json(tmp_path / ".lock-holder.json")["pid"] == os.getpid()


def test_the_lock_is_free_again_after_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="inside"), locked(Workspace(tmp_path)):
        raise ValueError("inside")
    with locked(Workspace(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, "output/cache"),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, "/kaggle/temp/histoblend"),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Batch", "HISTOBLEND_SCRATCH": "/fast"}, "/fast"),
    ],
)
def test_the_pixel_cache_is_never_part_of_what_kaggle_hands_back(environment: dict, folder: str):
    assert scratch_folder(Workspace(Path("output")), environment) == Path(folder)


def test_every_file_of_a_workspace_has_its_own_path():
    workspace = Workspace(Path("o"))
    owners = [workspace, workspace.experiment("a"), workspace.ensemble("b")]
    owners += [workspace.experiment(name).task(fold) for name in "ab" for fold in (0, 1)]
    paths = [
        getattr(owner, name)
        for owner in owners
        for name, attribute in vars(type(owner)).items()
        if isinstance(attribute, File)
    ]
    assert len(paths) > 30
    assert len(set(paths)) == len(paths)
