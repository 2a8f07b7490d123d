"""On what a figure was measured."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from histoblend.trials.provenance import BusyReading, commit, cores_of_others, processor_model, read_busy


def test_the_processor_calls_itself(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some CPU: the 2nd\nflags : a b\n")
    assert processor_model(tmp_path / "cpuinfo") == "Some CPU: the 2nd"
    assert processor_model(tmp_path / "nothing")  # the architecture


def test_a_commit_says_whether_files_differ_from_it(tmp_path: Path):
    assert commit(tmp_path) == "-"
    (tmp_path / "file").write_text("one")
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "file"], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert re.fullmatch(r"[0-9a-f]{7,}", commit(tmp_path))
    (tmp_path / "file").write_text("two")
    assert re.fullmatch(r"[0-9a-f]{7,}\+", commit(tmp_path))


def test_only_what_others_compute_makes_a_machine_busy(tmp_path: Path):
    before = BusyReading(100.0, 1000.0, 50.0)
    assert cores_of_others(before, BusyReading(110.0, 1020.0, 70.0)) == 0.0
    assert cores_of_others(before, BusyReading(110.0, 1020.0, 60.0)) == 1.0
    assert cores_of_others(None, before) is None
    (tmp_path / "stat").write_text("cpu  100 100 100 9999 9999 100 100 100 0 0\ncpu0 1 1\n")
    reading = read_busy(tmp_path / "stat")
    assert reading is not None and reading.machine * os.sysconf("SC_CLK_TCK") == 600
    assert read_busy(tmp_path / "nothing") is None
