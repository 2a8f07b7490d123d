"""When CI runs the tests on the versions of Kaggle's image, and what it says when it does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints/kaggle-image.txt"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose run.sh notes that it was called, and ends as `ends` says."""
    for name in (".ci/kaggle-image", "pyproject.toml", "constraints/kaggle-image.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "run.sh").write_text('#!/bin/sh\necho "$@" >> called\nexit $(cat ends)\n')
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "ends").write_text("0")
    return tmp_path


def decided(checkout: Path) -> tuple[int, str, int]:
    """Exit code, what was said, how often the tests were run so far."""
    environment = os.environ | {"XDG_CACHE_HOME": str(checkout / "cache")}
    command = ["bash", str(checkout / ".ci/kaggle-image")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    called = checkout / "called"
    return done.returncode, done.stdout, len(called.read_text().splitlines()) if called.exists() else 0


def test_once_passed_it_is_not_run_again_and_says_so(checkout: Path):
    assert decided(checkout) == (0, "", 1)
    code, said, runs = decided(checkout)
    assert (code, runs) == (0, 1)
    assert "NOT run" in said


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints/kaggle-image.txt"])
def test_changed_inputs_run_it(checkout: Path, changed: str):
    decided(checkout)
    with (checkout / changed).open("a") as stream:
        stream.write("\n# other\n")
    assert decided(checkout)[2] == 2


def test_after_a_week_it_is_run_again(checkout: Path):
    decided(checkout)
    stamp = checkout / "cache/histoblend/kaggle-image-passed"
    eight_days_ago = stamp.stat().st_mtime - 8 * 86_400
    os.utime(stamp, (eight_days_ago, eight_days_ago))
    assert decided(checkout)[2] == 2


def test_a_failure_fails_and_is_not_remembered(checkout: Path):
    (checkout / "ends").write_text("1")
    assert decided(checkout)[0] == 1
    assert decided(checkout)[::2] == (1, 2)


def test_without_its_python_it_is_not_run_and_says_so(checkout: Path):
    (checkout / "ends").write_text("5")
    code, said, _ = decided(checkout)
    assert code == 0
    assert "no Python 3.12" in said
    assert decided(checkout)[2] == 2


def test_every_pin_is_within_what_is_required():
    """A pin outside the bounds of pyproject.toml could not be installed."""
    from packaging.requirements import Requirement

    from histoblend.requirements import for_cpu, requirements

    required = {one.name: one for one in map(Requirement, for_cpu(requirements(ROOT / "pyproject.toml")))}
    pins = re.findall(r"^([\w.-]+)==([\w.]+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    assert len(pins) >= 12
    assert {"tensorflow-cpu", "keras", "numpy", "pandas", "scikit-learn", "kaggle"} <= {
        name for name, _ in pins
    }
    for name, version in pins:
        assert required[name].specifier.contains(version), name
