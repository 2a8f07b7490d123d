"""The command line as a user meets it: in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from histoblend.cli import app

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]
HEAVY = ("tensorflow", "keras", "pandas", "numpy", "sklearn", "cv2", "albumentations", "matplotlib")


def histoblend(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"CUDA_VISIBLE_DEVICES": "-1", "COLUMNS": "200", "NO_COLOR": "1"} | environment
    command = [sys.executable, "-m", "histoblend", *words]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]):
    """By what is imported and not by the clock: that is why it answers at once."""
    command = [sys.executable, "-X", "importtime", "-m", "histoblend", *words]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in answer.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & set(HEAVY)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_help_has_an_example(command: str | None):
    answer = histoblend(*([command] if command else []), "--help")
    assert answer.returncode == 0
    assert f"Example: histoblend {command or ''}".strip() in " ".join(answer.stdout.split())


def assert_refused(answer: subprocess.CompletedProcess[str], code: int, message: str) -> None:
    assert answer.returncode == code, answer.stderr
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout


def test_a_wrong_plan_ends_with_2(toy: Path, toy_configs: Path, tmp_path: Path):
    answer = histoblend("run", "tox", "--data", str(toy), "--output", str(tmp_path / "output"))
    assert_refused(answer, 2, "Did you mean toy")
    assert not (tmp_path / "output").exists()


def test_debug_shows_the_traceback(toy: Path, toy_configs: Path):
    answer = histoblend("--debug", "run", "tox", "--data", str(toy))
    assert answer.returncode != 0
    assert "Traceback" in answer.stderr and "ConfigRefusal" in answer.stderr


def test_missing_data_end_with_3(toy_configs: Path, tmp_path: Path):
    answer = histoblend("run", "toy", "--data", str(tmp_path / "nowhere"))
    assert_refused(answer, 3, "which does not exist")


def test_unfitting_artifacts_end_with_4(finished: Path, toy: Path):
    answer = histoblend("run", "toy", "--data", str(toy), "--output", str(finished), "--set", "folds.count=3")
    assert_refused(answer, 4, "count: 2 -> 3")


def test_an_output_that_cannot_be_written_ends_with_5(toy: Path, toy_configs: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    answer = histoblend("run", "toy", "--data", str(toy), "--output", str(tmp_path / "file/output"))
    assert_refused(answer, 5, "file/output")


@pytest.mark.parametrize(
    "words", [["--folds", "a"], ["--folds", "7"], ["--set", "tta"], ["--no-such-option"]]
)
def test_unusable_options_end_with_2(toy: Path, toy_configs: Path, words: list[str]):
    assert_refused(histoblend("run", "toy", "--data", str(toy), *words), 2, words[-1])


def test_ctrl_c_says_how_to_go_on(toy: Path, toy_configs: Path, tmp_path: Path):
    """As a terminal sends it: to the run and its workers together."""
    words = ["run", "every", "--data", str(toy), "--output", str(tmp_path / "output")]
    words += [
        "--set",
        "training.epochs=2000",
        "--set",
        "training.stop_patience=1999",
        "--set",
        "execution.workers=1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "histoblend", *words],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    state = tmp_path / "output/experiments/everything/fold_0/state/last.npz"
    deadline = time.monotonic() + 120
    while not state.exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert state.exists()


def test_archive_frees_the_name(finished: Path):
    answer = histoblend("archive", "first", "--output", str(finished))
    assert answer.returncode == 0
    assert not (finished / "experiments/first").exists()
    assert len(list((finished / "archive").glob("first-*/fold_0/oof.csv"))) == 1
    assert_refused(histoblend("archive", "secnd", "--output", str(finished)), 4, "Did you mean second")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_run_sh_is_sound():
    script = Path(__file__).parents[1] / "run.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)
