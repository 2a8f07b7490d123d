"""A task killed at any moment and started again ends with the same weights, bit for bit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.kaggle_image
ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
EPOCHS = 14


def start(toy: Path, output: Path, workers: int) -> subprocess.Popen[bytes]:
    settings = [f"execution.workers={workers}", "execution.threads=2", f"training.epochs={EPOCHS}"]
    settings += ["training.stop_patience=10"]
    command = [sys.executable, "-m", "histoblend", "run", "every", "--folds", "0", "--data", str(toy)]
    command += ["--output", str(output), *(word for one in settings for word in ("--set", one))]
    return subprocess.Popen(
        command, env=ENVIRONMENT | {"HISTOBLEND_CONFIGS": os.environ["HISTOBLEND_CONFIGS"]}
    )


def saved_history(task: Path) -> list[dict[str, float]]:
    path = task / "state/last.npz"
    if not path.exists():
        return []
    with np.load(path) as state:
        return json.loads(state["about"].tobytes())["history"]


def kill_after(process: subprocess.Popen[bytes], task: Path, epochs: int) -> list[dict[str, float]]:
    deadline = time.monotonic() + 240
    while len(saved_history(task)) < epochs:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.03)  # into the next epoch
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(workers) >= 2
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert not (task / "done.json").exists()
    return saved_history(task)


def children(parent: int) -> list[str]:
    """Processes whose parent is `parent`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(parent):
                found.append(stat.parent.name)
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def weights(task: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(task / "model.weights.h5") as stored:
        stored.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
def test_killed_twice_gives_the_same_weights(toy: Path, toy_configs: Path, tmp_path: Path):
    """Dropout, moving average, plateau, inner early stopping, float16 loss scaling, `heavy`, two workers."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    task = cut / "experiments/everything/fold_0"

    first = kill_after(start(toy, cut, workers=2), task, epochs=2)
    second = kill_after(start(toy, cut, workers=2), task, epochs=len(first) + 3)
    assert second[: len(first)] == first  # seconds and all: the second run went on, it did not start again
    assert start(toy, cut, workers=2).wait() == 0
    history = pd.read_csv(task / "history.csv", float_precision="round_trip")
    assert history["seconds"].tolist()[: len(second)] == [row["seconds"] for row in second]

    assert start(toy, whole, workers=0).wait() == 0  # nor does the number of workers matter
    reference = whole / "experiments/everything/fold_0"
    expected, found = weights(reference), weights(task)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert (task / "oof.csv").read_bytes() == (reference / "oof.csv").read_bytes()
    same = ["epoch", "loss", "accuracy", "inner_auc", "learning_rate"]
    pd.testing.assert_frame_equal(
        history[same], pd.read_csv(reference / "history.csv", float_precision="round_trip")[same]
    )
