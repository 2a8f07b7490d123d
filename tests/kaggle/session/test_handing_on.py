"""A session that stops before it has an output hands the earlier one on, or refuses where it should have found one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from histoblend.errors import ArtifactRefusal
from histoblend.kaggle.session.__main__ import main
from histoblend.kaggle.session.packing import gather, note_session, pack_output
from histoblend.kaggle.session.stored import ARCHIVE, FOLDER, check_whole, stored_in


class Sessions:
    """Sessions of one kernel, one after the other in this process, none with a competition: each stops early."""

    def __init__(self, top: Path, configs: Path) -> None:
        self.top, self.configs, self.count = top, configs, 0

    @property
    def working(self) -> Path:
        return self.top / str(self.count) / "working"

    def begin(self) -> None:
        """A fresh tree, the last session's output among its inputs."""
        last = self.working
        self.count += 1
        self.working.mkdir(parents=True)
        mount = self.working.with_name("input") / "notebooks" / "owner" / "run"
        mount.parent.mkdir(parents=True)
        if last.exists():
            mount.symlink_to(last)

    def call(self, *words: str) -> int:
        kaggle = {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "HISTOBLEND_KAGGLE_ROOT": str(self.working.parent)}
        return main(list(words), kaggle | {"HISTOBLEND_CONFIGS": str(self.configs)})

    def run(self, *words: str) -> tuple[int, int]:
        """Exit codes of the run and of packing."""
        code = self.call("run", "toy", *words)
        return code, self.call("pack", "--exit-code", str(code))

    @property
    def said(self) -> dict:
        return json.loads((self.working / "session.json").read_text())


def output(working: Path, plan: str = "toy", tasks: int = 2) -> None:
    """What a session hands back, in small."""
    files = {f"experiments/first/fold_{fold}/done.json": "{}" for fold in range(tasks)} | {"run.json": "{}"}
    for name, content in files.items():
        path = working / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    note_session(working, {"plan": plan, "settings": [], "state": "paused"})
    pack_output(working)


@pytest.fixture
def sessions(tmp_path, toy_configs) -> Sessions:
    made = Sessions(tmp_path, toy_configs)
    made.begin()
    return made


def test_sessions_that_are_refused_early_do_not_break_the_chain(sessions, capsys):
    output(sessions.working)
    for _ in range(2):
        sessions.begin()
        code, packed = sessions.run("--set", "folds.count=2", "--expects-earlier")
        assert code != 0 and packed == 0  # Kaggle may not mount what a version that failed left
        assert (sessions.said["state"], sessions.said["exit_code"]) == ("failed", code)
        assert f"THE RUN FAILED with exit code {code}" in capsys.readouterr().out
        stored = stored_in(sessions.working)
        check_whole(stored)
        assert stored.finished == ["first", "first"]
        assert stored.provenance["path"] == str(sessions.top / "2/input/notebooks/owner/run" / ARCHIVE)
        assert sorted(path.name for path in sessions.working.iterdir()) == [ARCHIVE, "session.json"]


def test_of_several_that_of_the_same_plan_is_handed_on(sessions):
    output(sessions.working)
    sessions.begin()
    output(sessions.working.with_name("input") / "datasets" / "owner" / "old", plan="other", tasks=7)
    (sessions.working / ".partial-histoblend-output").mkdir()  # a copy that was cut
    sessions.run()
    assert len(stored_in(sessions.working).finished) == 2
    assert not list(sessions.working.glob(".partial*"))


def test_a_copy_that_was_handed_on_is_no_run_to_go_on_with(sessions):
    output(sessions.working)
    sessions.begin()
    sessions.run()
    gather(sessions.working)  # the cell run again, with settings that were corrected
    assert [path.name for path in sessions.working.iterdir()] == ["session.json"]
    assert not sessions.said["handed_on"]


def test_a_session_that_should_find_an_output_and_does_not_refuses_at_once(sessions, capsys, monkeypatch):
    monkeypatch.setattr("histoblend.kaggle.session.run.run", lambda *arguments: None)
    assert sessions.run("--expects-earlier") == (ArtifactRefusal.exit_code, ArtifactRefusal.exit_code)
    told = capsys.readouterr().out
    assert "sent to go on with one" in told and "assets push --output" in told
    assert sessions.call("run", "toy", "--expects-earlier", "--anew") == 0
    assert sessions.call("run", "toy") == 0
