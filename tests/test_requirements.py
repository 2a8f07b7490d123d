"""What run.sh asks on Kaggle, before anything is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from histoblend import requirements

SCRIPT = Path(requirements.__file__)
PROJECT = SCRIPT.parents[2] / "pyproject.toml"


def listed(script: Path, *flags: str, asked: str = "--missing") -> str:
    command = [sys.executable, *flags, str(script), asked]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()


def test_nothing_is_missing_where_all_is_installed():
    assert requirements.missing(requirements.requirements(PROJECT)) == []
    assert listed(SCRIPT) == ""


def test_a_bare_python_lacks_all_by_name_without_markers():
    missing = listed(SCRIPT, "-S").split()
    assert {"albumentations==2.0.8", "opencv-python-headless>=4.10"} <= set(missing)
    assert not any(";" in one or one.startswith("python_") for one in missing)


def test_for_a_cpu_only_tensorflow_is_another():
    everything = requirements.requirements(PROJECT)
    cpu = listed(SCRIPT, "-S", asked="--cpu").split()
    assert [one for one in cpu if one not in everything] == ["tensorflow-cpu>=2.19,<2.22"]
    assert len(cpu) == len(everything)


def test_what_optuna_imports_is_installed_beside_it(monkeypatch: pytest.MonkeyPatch):
    """On Kaggle with --no-deps: `import optuna` needs these, and not alembic or sqlalchemy."""
    real, gone = importlib.util.find_spec, {"colorlog", "tqdm"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else real(name))
    assert requirements.missing(["numpy>=2", "optuna>=4"]) == ["colorlog", "tqdm"]
    assert requirements.missing(["numpy>=2"]) == []


def test_optuna_needs_no_more_than_what_is_listed_beside_it():
    check = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("alembic", "sqlalchemy", "mako", "greenlet"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Gone())
from histoblend.searching.study import check_optuna, propose
from histoblend.searching.sweep_config import Sweep
check_optuna()
propose(Sweep(name="s", base="b", parameters={"x": {"low": 0, "high": 1}}), 3, [], None)
"""
    subprocess.run([sys.executable, "-c", check], check=True)


def test_only_what_is_absent_is_listed(tmp_path: Path):
    """A module beside the script must not pass for an installed one (this package has a `models`, ...)."""
    script = tmp_path / "src/histoblend/requirements.py"
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT.read_text())
    (script.parent / "kaggle_of_nobody").mkdir()
    (script.parent / "kaggle_of_nobody/__init__.py").touch()
    needed = (
        '"numpy>=2.0", "no-such-thing>=1; python_version > \'3\'", "scikit-learn>=1.6", "kaggle_of_nobody"'
    )
    (tmp_path / "pyproject.toml").write_text(f"[project]\ndependencies = [{needed}]\n")
    assert listed(script) == "no-such-thing>=1 kaggle_of_nobody"
