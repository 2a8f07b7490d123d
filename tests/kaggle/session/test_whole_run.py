"""The script as Kaggle runs it: a bare process, read-only inputs; what it hands back, and the next session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tree import CHECKOUT, KaggleTree, namespaces_allowed, toy_tree

from histoblend.kaggle.session import script_text, unpacked_output
from histoblend.kaggle.session.stored import ARCHIVE
from histoblend.workspace import Workspace

ONE_EXPERIMENT = """
experiments: [first]
data: {near_duplicates: keep}
folds: {count: 2}
report: false
tta: 1
"""
# The second network never fits a session: it is cut at an epoch's end, and gone on with.
ENDLESS = """
network: {name: course_cnn, widths: [4, 4], dense: 8}
optimizer: {name: sgd, learning_rate: 1.0e-2}
training: {epochs: 200000, batch_size: 16}
"""
needs_namespaces = pytest.mark.skipif(
    not namespaces_allowed(), reason="unshare -rmn is not allowed here: the true paths cannot be shown"
)


def session(tree: KaggleTree) -> dict:
    return json.loads((tree.working / "session.json").read_text())


def done_files(output: Path) -> dict[str, bytes]:
    """The record of each finished task, by its place."""
    paths = output.glob("experiments/*/fold_*/done.json")
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}


def ids(path: Path) -> list[str]:
    return sorted(pd.read_csv(path)["id"])


@pytest.mark.kaggle_image
def test_a_session_trains_and_hands_back_few_files(kaggle_tree, toy, toy_configs, tmp_path):
    """With a worker of the feed: were the script imported again by it, a second run would start."""
    (toy_configs / "plans" / "short.yaml").write_text(ONE_EXPERIMENT)
    text = script_text("short", ("execution.workers=1",), toy_configs)
    log = kaggle_tree.run(text)
    assert log.returncode == 0, log.stdout
    assert log.stdout.count("plan short, Python") == 1
    assert log.stdout.count("Plan short sets no budget: 11h on Kaggle") == 1
    assert "first fold 1  epoch 2/2" in log.stdout and "\x1b" not in log.stdout and "\r" not in log.stdout
    handed_back = {path.name for path in kaggle_tree.working.rglob("*")}
    assert handed_back == {ARCHIVE, "session.json", "submission.csv", "ranking.csv"}
    assert ids(kaggle_tree.working / "submission.csv") == ids(toy / "sample_submission.csv")
    said = session(kaggle_tree)
    assert (said["state"], said["left"], said["plan"]) == ("finished", [], "short")
    assert said["package"] in log.stdout.replace("(", "").replace(")", "")
    output = unpacked_output(kaggle_tree.working, tmp_path / "output")
    assert set(done_files(output)) == {f"experiments/first/fold_{fold}/done.json" for fold in (0, 1)}
    assert not (output / "cache").exists() and (kaggle_tree.root / "temp" / "histoblend").is_dir()
    run = json.loads(Workspace(output).run_record.read_text())
    assert run["data"]["root"].endswith("input/competitions/histopathologic-cancer-detection")
    assert any("someone/histopathologicwsifull" in one["path"] for one in run["sources"])


@pytest.mark.slow
def test_a_refusal_fails_the_session_and_says_what_to_do(kaggle_tree, toy_configs):
    del kaggle_tree.mounts["competitions/histopathologic-cancer-detection"]
    log = kaggle_tree.run(script_text("toy", (), toy_configs))
    assert log.returncode == 3
    assert "no competition is attached" in log.stdout and "Traceback" not in log.stdout
    assert session(kaggle_tree)["state"] == "failed"
    assert [path.name for path in kaggle_tree.working.iterdir()] == ["session.json"]


def ranked(output: Path) -> str:
    """What `rank` and `report` of this checkout say of an output folder."""
    said = ""
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT / "src"),
        "HISTOBLEND_CONFIGS": str(CHECKOUT / "configs"),
    }
    for word in ("rank", "report"):
        command = [sys.executable, "-m", "histoblend", word, "--output", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        said += done.stdout
    return said


PROBE = """
import pathlib, socket, sys
for place in ("/kaggle/input", "/kaggle/input/competitions/histopathologic-cancer-detection", "/kaggle/src"):
    try:
        (pathlib.Path(place) / "written").write_text("x")
    except OSError as error:
        print(place, error.strerror)
(pathlib.Path("/kaggle/working") / "written").write_text("x")
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[0] != "")), timeout=2)
except OSError as error:
    print("network", error.strerror)
print(__file__, pathlib.Path.cwd(), list(pathlib.Path("CHECKOUT/src").iterdir()))
"""


@needs_namespaces
def test_the_true_paths_are_what_they_are_said_to_be(kaggle_tree):
    """Read-only to root too, without a network, the checkout out of sight."""
    said = kaggle_tree.run(PROBE.replace("CHECKOUT", str(CHECKOUT)), true_paths=True).stdout
    assert said.count("Read-only file system") == 3
    assert "network Network is unreachable" in said
    assert "/kaggle/src/script.py / []" in said
    assert (kaggle_tree.working / "written").exists() and not Path("/kaggle").exists()


@pytest.mark.slow
@needs_namespaces
def test_at_the_true_paths_a_budget_pauses_it_and_the_next_session_goes_on(toy, toy_configs, tmp_path):
    (toy_configs / "plans" / "endless.yaml").write_text(ONE_EXPERIMENT.replace("[first]", "[first, second]"))
    (toy_configs / "experiments" / "second.yaml").write_text(ENDLESS)
    text = script_text("endless", ("budget=70s", "execution.workers=1"), toy_configs)
    tree = toy_tree(tmp_path / "kaggle", toy)
    log = tree.run(text, true_paths=True)
    assert log.returncode == 0, log.stdout
    said = session(tree)
    assert said["state"] == "paused" and said["sessions_to_go"] is not None
    assert said["left"] == ["second fold 0", "second fold 1"]
    assert ids(tree.working / "submission.csv") == ids(toy / "sample_submission.csv")
    assert len(list(tree.working.rglob("*"))) <= 6
    first = unpacked_output(tree.working, tmp_path / "first")
    assert "first" in ranked(first)

    following = tree.next_session(tmp_path / "kaggle2")
    log = following.run(text, true_paths=True)
    assert log.returncode == 0, log.stdout
    assert "Going on from /kaggle/input/notebooks/owner/histoblend-run: 2 finished tasks and" in log.stdout
    assert "Not gone on from /kaggle/input/notebooks/someone/another-notebook" in log.stdout
    assert "first fold 0  epoch" not in log.stdout
    second = unpacked_output(following.working, tmp_path / "second")
    assert done_files(second) == done_files(first) and len(done_files(first)) == 2
    epochs = [
        json.loads((folder / "paused.json").read_text())["left"][0]["epochs_done"]
        for folder in (first, second)
    ]
    assert 0 < epochs[0] < epochs[1]
    sources = json.loads((second / "run.json").read_text())["sources"]
    assert said["archive"]["sha256"] in [one["sha256"] for one in sources if one["kind"] == "earlier output"]


@pytest.mark.slow
@needs_namespaces
def test_the_old_mounts_and_a_finished_run_train_nothing_twice(toy, toy_configs, tmp_path):
    text = script_text("toy", ("execution.workers=0", "report=true"), toy_configs)
    tree = toy_tree(tmp_path / "kaggle", toy, new_form=False)
    log = tree.run(text, true_paths=True)
    assert log.returncode == 0, log.stdout
    assert "first" in (tree.working / "report.html").read_text()
    following = tree.next_session(tmp_path / "kaggle2", form="histoblend-run")
    log = following.run(text, true_paths=True)
    assert log.returncode == 0, log.stdout
    assert "Going on from /kaggle/input/histoblend-run: 4 finished tasks." in log.stdout
    assert "4 of 4 tasks are done already" in log.stdout and "epoch 1/" not in log.stdout
    outputs = [unpacked_output(one.working, tmp_path / name) for one, name in ((tree, "a"), (following, "b"))]
    assert done_files(outputs[0]) == done_files(outputs[1])
    submissions = [one.working / "submission.csv" for one in (tree, following)]
    assert submissions[0].read_bytes() == submissions[1].read_bytes()


@pytest.mark.slow
def test_a_run_that_is_killed_is_packed_and_gone_on_with(kaggle_tree, toy_configs, tmp_path):
    """The kernel kills the process that takes the most memory: the run, not the script around it."""
    killer = (
        "import os, pathlib\n"
        "if 'run' in os.sys.orig_argv:\n"
        "    import threading, time, glob\n"
        "    def kill():\n"
        "        root = os.environ['HISTOBLEND_KAGGLE_ROOT']\n"
        "        while not glob.glob(root + '/working/*/experiments/*/fold_0/done.json'): time.sleep(0.01)\n"
        "        os.kill(os.getpid(), 9)\n"
        "    threading.Thread(target=kill, daemon=True).start()\n"
    )
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(killer)
    text = script_text("toy", ("execution.workers=0",), toy_configs)
    log = kaggle_tree.run(text, PYTHONPATH=str(tmp_path / "hook"))
    assert log.returncode == 0, log.stdout  # Kaggle may not mount the output of a version that failed
    assert "killed by signal 9 (memory?)" in log.stdout
    assert "THE RUN FAILED with exit code 137" in log.stdout.splitlines()[-1]
    assert session(kaggle_tree)["state"] == "failed" and (kaggle_tree.working / ARCHIVE).exists()
    following = kaggle_tree.next_session(tmp_path / "kaggle2")
    log = following.run(text)
    assert log.returncode == 0, log.stdout
    assert "1 finished task" in log.stdout and "[1/3]" in log.stdout  # of four
    assert session(following)["state"] == "finished"
