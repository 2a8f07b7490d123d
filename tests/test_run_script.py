"""run.sh as a user starts it; nothing is installed by these tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


def started(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(ROOT / "run.sh"), *words],
        cwd=cwd,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_on_kaggle_nothing_is_built_and_any_folder_will_do(tmp_path: Path):
    """The Kaggle branch runs the python at hand from the sources."""
    before = set(ROOT.iterdir())
    done = started("run", "--help", cwd=tmp_path, KAGGLE_KERNEL_RUN_TYPE="Interactive")
    assert done.returncode == 0, done.stderr
    assert "Competition folder" in done.stdout
    assert set(ROOT.iterdir()) == before


def test_on_kaggle_without_data_it_refuses(tmp_path: Path):
    done = started("run", cwd=tmp_path, KAGGLE_KERNEL_RUN_TYPE="Batch")
    assert done.returncode == 3
    assert "no competition is attached" in done.stderr
    assert "Traceback" not in done.stderr


def test_words_other_than_test_and_run_are_commands(tmp_path: Path):
    done = started("archive", "nothing", cwd=tmp_path, KAGGLE_KERNEL_RUN_TYPE="Interactive")
    assert done.returncode == 4
    assert "holds no artifacts of an experiment 'nothing'" in done.stderr


def test_a_python_that_is_too_old_is_no_python(tmp_path: Path):
    """Only the search for a Python: a copy of the script without an environment, and pythons that say no."""
    shutil.copy(ROOT / "run.sh", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src/histoblend").mkdir(parents=True)
    shutil.copy(ROOT / "src/histoblend/__init__.py", tmp_path / "src/histoblend")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("python3.11", "python3.12", "python3.13", "python3", "python"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}/usr/bin:/bin"}
    environment.pop("KAGGLE_KERNEL_RUN_TYPE", None)
    environment.pop("PYTHON", None)
    done = subprocess.run(["bash", str(tmp_path / "run.sh")], env=environment, capture_output=True, text=True)
    assert done.returncode == 5
    assert "No Python 3.11, 3.12 or 3.13 found" in done.stderr
