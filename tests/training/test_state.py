from __future__ import annotations

import errno
from pathlib import Path

import keras
import numpy as np
import pytest

from histoblend.errors import ArtifactRefusal, MachineRefusal
from histoblend.training.state import TaskState, assign_values, load_state, save_state, values_of

STATE = TaskState(
    fingerprint="abc",
    history=[{"epoch": 1.0, "loss": 0.7, "inner_auc": 1 / 3}],
    model=[np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2], np.uint32)],
    optimizer=[np.array(3, np.int64), np.float32(2**15) * np.ones(())],
    best=[np.full((2, 3), 0.1, np.float32)],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_state(tmp_path / "state" / "last.npz", STATE)
    return tmp_path / "state" / "last.npz"


def assert_same(left: TaskState, right: TaskState) -> None:
    assert (left.fingerprint, left.history) == (right.fingerprint, right.history)
    for part in ("model", "optimizer", "best"):
        ours, theirs = getattr(left, part), getattr(right, part)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_everything_comes_back(path: Path):
    assert_same(load_state(path, "abc"), STATE)


def test_more_than_ten_arrays_come_back_in_order(tmp_path: Path):
    arrays = [np.array(number) for number in range(120)]
    save_state(tmp_path / "last.npz", TaskState("abc", [], arrays, []))
    assert [int(one) for one in load_state(tmp_path / "last.npz", "abc").model] == list(range(120))


def test_another_fingerprint_is_refused(path: Path):
    with pytest.raises(ArtifactRefusal, match="another configuration"):
        load_state(path, "abd")


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_file_is_refused(path: Path, kept: int):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtifactRefusal, match="damaged"):
        load_state(path, "abc")


def test_no_flipped_byte_goes_unnoticed(path: Path):
    """Each byte in turn: refused, or (in the archive's time stamps and the like) without any effect."""
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            assert_same(load_state(path, "abc"), STATE)
        except ArtifactRefusal:
            refused += 1
    assert refused > len(whole) / 2


def test_an_interrupted_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(MachineRefusal, match="disk is full"):
        save_state(path, TaskState("new", [], [], []))
    assert_same(load_state(path, "abc"), STATE)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_dropout_goes_on_where_it_was():
    """Keras does not save its seeds with the weights; the state does."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5)])
    ones = np.ones((1, 50), np.float32)
    model(ones, training=True)
    kept = values_of(model.variables)
    assert kept, "the dropout layer's seed is one of the model's variables"
    first = np.asarray(model(ones, training=True))
    second = np.asarray(model(ones, training=True))
    assert not np.array_equal(first, second)
    assign_values(model.variables, kept)
    np.testing.assert_array_equal(np.asarray(model(ones, training=True)), first)


def test_values_are_copies():
    variable = keras.Variable(np.zeros(2, np.float32))
    values = values_of([variable])
    variable.assign(np.ones(2, np.float32))
    np.testing.assert_array_equal(values[0], [0, 0])


@pytest.mark.parametrize("values", [[], [np.zeros(3, np.float32)], [np.zeros(2, np.float32)] * 2])
def test_values_of_another_network_are_refused(values: list[np.ndarray]):
    with pytest.raises(ArtifactRefusal, match="do not fit"):
        assign_values([keras.Variable(np.zeros(2, np.float32))], values)
