"""Push, watch, pull as one path, by the real client in its child processes, the pushed script run by the stand-in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from kernel_testing import REF, with_assets
from server.kernels import Kernels, ScriptRunner
from tree import toy_tree

from histoblend.errors import ConfigRefusal
from histoblend.kaggle import connection
from histoblend.kaggle.connection import Patience
from histoblend.kaggle.kernel import PushRequest, push, push_kernel
from histoblend.leaderboard import RankRequest, show_leaderboard

SMALL = """
import json, os, pathlib
root = pathlib.Path(os.environ["HISTOBLEND_KAGGLE_ROOT"])
earlier = sorted(path.read_text() for path in root.glob("input/**/number.txt"))
output = root / "working" / "histoblend-output"
(output / "experiments").mkdir(parents=True)
(output / "experiments" / "a.txt").write_text("")
(output / "run.json").write_text("{}")
(output / "number.txt").write_text(str(len(earlier) + 1))
print("started from", earlier, flush=True)
"""


def tree_of(runner_root: Path, toy: Path) -> ScriptRunner:
    """A runner in a tree with the toy competition among its inputs."""
    tree = toy_tree(runner_root, toy)
    for name, source in tree.mounts.items():
        (tree.root / "input" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.root / "input" / name).symlink_to(source)
    environment = {
        "PATH": "",
        "HOME": str(tree.root / "home"),
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
    }
    return ScriptRunner(tree.root, environment)


def test_push_watch_pull_in_one_command(kaggle_service, display, toy_configs, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(push, "script_text", lambda *_, **told: SMALL)
    kernels = Kernels(kaggle_service, runner=ScriptRunner(tmp_path / "kaggle"))
    with_assets(kernels)
    push_kernel(PushRequest("toy", watch=True, output=tmp_path / "out"), display, kaggle_service.environment)
    folder = tmp_path / "out" / "kernels" / "1"
    print(display.text, sorted(folder.rglob("*")))
    assert (folder / "number.txt").read_text() == "1"
    assert (folder / "histoblend-run.log").read_text() == "started from []\n"
    assert (folder / "run.json").exists() and f"Version 1 of {REF}" in display.text


@pytest.mark.slow
def test_a_plan_is_run_there_ranked_here_and_gone_on_with(
    kaggle_service, display, toy_configs, toy, tmp_path, monkeypatch
):
    """The true script, twice: the second session finds the first one's output among its inputs."""
    monkeypatch.setattr(connection, "USUAL", Patience(20, 60, 60, 3, 0, 0, poll_seconds=1))
    kernels = Kernels(kaggle_service, runner=tree_of(tmp_path / "kaggle", toy))
    with_assets(kernels)
    out = tmp_path / "out"
    request = PushRequest("toy", ("experiments=[first]",), watch=True, output=out)
    push_kernel(request, display, kaggle_service.environment)
    first = out / "kernels" / "1"
    submission = pd.read_csv(first / "submission.csv")
    assert len(submission) == len(list((toy / "test").glob("*.tif")))
    assert json.loads((first / "session.json").read_text())["state"] == "finished"
    show_leaderboard(RankRequest(first), display, os.environ)
    assert "Plan toy is finished" in display.text and "first" in display.text
    with pytest.raises(ConfigRefusal, match="Nothing is left"):
        push_kernel(request, display, kaggle_service.environment)
    (toy_configs / "plans" / "another.yaml").write_text("experiments: [first]\n")  # other configs, same plan
    push_kernel(request, display, kaggle_service.environment)
    assert kernels.kernels[REF].request["kernelDataSources"] == [REF]
    second = out / "kernels" / "2"
    assert "Going on from" in (second / "histoblend-run.log").read_text()
    assert (second / "submission.csv").read_bytes() == (first / "submission.csv").read_bytes()
