"""`kernel notebook`: three cells, valid, and run as they stand on the toy competition in a tree like Kaggle's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tree import kaggle_tree

from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.kaggle.kernel import notebook as notebook_module
from histoblend.kaggle.kernel import write_notebook
from histoblend.kaggle.session import script_text

__all__ = ["kaggle_tree"]
SCRIPTS: list[str] = []

# What "Restart & run all" does, without Jupyter: the cells one after another in one namespace that is __main__.
RUN_ALL = """
for number, cell in enumerate({cells!r}, 1):
    exec(compile(cell, f"cell {{number}}", "exec"), globals())
"""


@pytest.fixture
def script(toy_configs) -> str:
    """The toy plan's true script, made once: packing takes seconds."""
    if not SCRIPTS:
        SCRIPTS.append(script_text("toy", (), toy_configs))
    return SCRIPTS[0]


@pytest.fixture
def notebook(tmp_path, toy_configs, display, script, monkeypatch) -> Path:
    monkeypatch.setattr(notebook_module, "script_text", lambda *_: script)
    path = tmp_path / "histoblend.ipynb"
    write_notebook(path, "toy", display, {"HISTOBLEND_CONFIGS": str(toy_configs)})
    return path


def sources(notebook: Path) -> list[str]:
    """The cells' texts."""
    return ["".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"]]


def test_three_cells_that_a_person_can_use(notebook, script):
    content = json.loads(notebook.read_text())
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert [cell["id"] for cell in content["cells"]] == ["settings", "package", "run"]
    assert all(cell["cell_type"] == "code" and cell["outputs"] == [] for cell in content["cells"])
    about, package, run = sources(notebook)
    for words in (
        "histopathologic-cancer-detection",
        "histoblend-assets",
        "GPU T4 x2",
        "Internet: Off",
        "PLAN = 'toy'",
    ):
        assert words in about
    assert package.count("\n") > 100 and 'if __name__ == "__main__"' not in package
    assert package.split("\n", 2)[2].rstrip() in script
    assert notebook.stat().st_size < 1_000_000 and run.count("\n") < 10
    try:
        import nbformat
    except ImportError:
        return
    nbformat.validate(nbformat.read(notebook, as_version=4))


def test_only_its_own_file_is_written_over(notebook, display, toy_configs):
    environment = {"HISTOBLEND_CONFIGS": str(toy_configs)}
    write_notebook(notebook, "toy", display, environment)
    notebook.write_text('{"metadata": {}, "cells": ["mine"]}')
    with pytest.raises(ArtifactRefusal, match="did not write it"):
        write_notebook(notebook, "toy", display, environment)
    assert "mine" in notebook.read_text()


def test_a_plan_is_checked(tmp_path, display, toy_configs):
    with pytest.raises(ConfigRefusal, match="tyo"):
        write_notebook(tmp_path / "new.ipynb", "tyo", display, {"HISTOBLEND_CONFIGS": str(toy_configs)})


def test_the_first_cells_alone_run_nothing(notebook, kaggle_tree):
    cells = sources(notebook)[:2]
    done = kaggle_tree.run(RUN_ALL.format(cells=cells) + "print(CARRIED['plan'], callable(run_carried))")
    assert (done.returncode, done.stdout) == (0, "toy True\n")
    assert not any(kaggle_tree.working.iterdir())


@pytest.mark.slow
def test_restart_and_run_all_twice(notebook, kaggle_tree):
    """A plan cut short by settings of the first cell, then finished by a second run in the same working folder."""
    about, package, run = sources(notebook)
    settings = about.replace("SETTINGS = []", 'SETTINGS = ["experiments=[first]", "tta=1"]')
    text = RUN_ALL.format(cells=[settings, package, run])
    for _ in range(2):
        done = kaggle_tree.run(text, KAGGLE_KERNEL_RUN_TYPE="Interactive")
        assert done.returncode == 0, done.stdout
        assert (kaggle_tree.working / "submission.csv").exists()
    assert "Going on with what lies in" in done.stdout
    broken = RUN_ALL.format(cells=[settings.replace("tta=1", "tta=99"), package, run])
    done = kaggle_tree.run(broken, KAGGLE_KERNEL_RUN_TYPE="Interactive")
    assert done.returncode == 1 and "RuntimeError: histoblend stopped with exit code" in done.stdout
