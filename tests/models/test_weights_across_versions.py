"""Weights written on Kaggle load here and the other way round: between two versions of Keras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.kaggle_image
SCRIPT = Path(__file__).with_name("stored_logits.py")


def run_script(python: str, mode: str, folder: Path) -> str:
    """Returns the version of Keras that `python` has."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    environment |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [python, str(SCRIPT), mode, str(folder)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return (folder / f"{mode}.txt").read_text()


@pytest.fixture
def other_python() -> str:
    if "HISTOBLEND_OTHER_PYTHON" not in os.environ:
        pytest.skip("needs a second environment: ./run.sh test --kaggle-image")
    return os.environ["HISTOBLEND_OTHER_PYTHON"]


@pytest.mark.parametrize("here_writes", [True, False])
def test_weights_of_one_keras_give_the_same_logits_in_another(
    other_python: str, here_writes: bool, tmp_path: Path
):
    pythons = [sys.executable, other_python]
    writer, reader = pythons if here_writes else reversed(pythons)
    assert run_script(writer, "write", tmp_path) != run_script(reader, "read", tmp_path)
    written = sorted(tmp_path.glob("*.write.npy"))
    assert len(written) >= 8
    for path in written:
        expected, found = np.load(path), np.load(path.with_name(path.name.replace("write", "read")))
        assert np.isfinite(expected).all() and np.ptp(expected) > 0, path.name
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=path.name)
