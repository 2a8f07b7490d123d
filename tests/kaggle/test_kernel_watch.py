"""`kernel watch` against the stand-in: through hiccups to the end, and never ending the session itself."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from kernel_testing import REF, SCRIPT, here, session_output
from rich.console import Console
from server.kernels import Kernel, Kernels, as_log
from server.service import Fault, error

from histoblend.errors import ServiceRefusal
from histoblend.kaggle import connection
from histoblend.kaggle.connection import Patience
from histoblend.kaggle.kernel import PullRequest, watch, watch_kernel
from histoblend.kaggle.kernel.progress import Seen
from histoblend.kaggle.kernel.records import Push, note_push, now
from histoblend.kaggle.kernels import Look, Session
from histoblend.reporting.progress import Display
from histoblend.workspace import Workspace

__all__ = ["here"]


@pytest.fixture
def kernels(kaggle_service, toy_configs):
    kernels = Kernels(kaggle_service, output=session_output(), log=as_log(["epoch 1\n"]))
    kernels.kernels[REF] = Kernel(*REF.split("/"), {"newTitle": "Histoblend run", "text": SCRIPT}, version=2)
    return kernels


@pytest.fixture
def watching(kernels, display, tmp_path):
    return lambda: watch_kernel(PullRequest(tmp_path), display, kernels.service.environment)


def test_it_is_followed_to_its_end_and_pulled(here, kernels, watching, display, tmp_path):
    kernels.live, kernels.script = True, ["QUEUED", "RUNNING", "RUNNING", "RUNNING", "COMPLETE"]
    watching()
    told = [
        display.text.index(words)
        for words in ("is queued", "is running", "  | epoch 1", "is complete", "Version 2 of")
    ]
    assert told == sorted(told)
    assert display.text.count("is running") == display.text.count("epoch 1") == 1
    assert (tmp_path / "kernels" / "2" / "run.json").exists()


def test_what_it_says_between_the_last_look_and_its_end_is_shown(
    here, kernels, watching, display, monkeypatch
):
    """Scores, ranking and blend come in the last minute."""
    before = kernels._left_behind

    def left_behind():
        output, log = before()
        return output, as_log(["epoch 1\n", "AUC 0.93\n"]) if kernels.ended else log

    monkeypatch.setattr(kernels, "_left_behind", left_behind)
    kernels.live, kernels.script = True, ["RUNNING", "RUNNING", "COMPLETE"]
    watching()
    assert display.text.count("epoch 1") == display.text.count("AUC 0.93") == 1


def test_the_end_of_the_session_before_is_not_taken_for_this_ones(here, kernels, watching, display, tmp_path):
    """Right after a push, Kaggle may still tell how the version before ended."""
    noted = Push(REF, 2, now(), "toy", (), "0", "0")
    note_push(Workspace(tmp_path), noted)
    kernels.script = ["ERROR", "ERROR", "RUNNING", "COMPLETE"]
    watching()
    assert (
        display.text.index("is running") < display.text.index("Version 2 of") and kernels.state == "COMPLETE"
    )
    kernels.script, kernels.polls = (
        ["COMPLETE"],
        0,
    )  # one that ended before the first look is believed in the end
    watching()
    assert kernels.polls == 6  # four doubted, one believed, one of the pull
    note_push(Workspace(tmp_path), replace(noted, when="2026-11-20T06:00:00+00:00"))
    kernels.polls = 0
    watching()
    assert kernels.polls == 2


def test_on_a_terminal_one_line_is_redrawn(here, kernels, tmp_path):
    kernels.script = ["RUNNING", "RUNNING", "COMPLETE"]
    kernels.log = None
    file = io.StringIO()
    live = Display(Console(file=file, force_terminal=True, width=120))
    watch_kernel(PullRequest(tmp_path), live, kernels.service.environment)
    assert live.live and "asking Kaggle" in file.getvalue() and "is running" in file.getvalue()


def test_hiccups_do_not_end_it(here, kernels, watching, tmp_path):
    """More failures in a row than one call repeats, of every kind that passes."""
    kernels.script = ["RUNNING"] * 3 + ["COMPLETE"]
    for fault in (
        Fault("GetKernelSessionStatus", skip=1, times=7, answer=error(503, "in hour 7")),
        Fault("GetKernelSessionStatus", times=4, drop="before"),
        Fault("GetKernelSessionStatus", times=4, answer=error(429, "slowly")),
    ):
        kernels.service.faults.append(fault)
    watching()
    assert (tmp_path / "kernels" / "2" / "run.json").exists()


def test_a_log_that_is_refused_while_it_runs_is_said_once(here, kernels, watching, display):
    kernels.script = ["RUNNING"] * 6 + ["COMPLETE"]
    kernels.service.faults.append(
        Fault("ListKernelSessionOutput", times=3, answer=error(400, "Session is running"))
    )
    watching()
    assert display.text.count("no log while it runs") == 1 and "Session is running" in display.text


def test_what_does_not_pass_ends_it(here, kernels, watching, monkeypatch):
    kernels.service.faults.append(Fault("GetKernelSessionStatus", answer=error(401, "Unauthenticated")))
    with pytest.raises(ServiceRefusal, match="401"):
        watching()
    monkeypatch.setattr(watch, "TRIES", 4)
    kernels.service.faults[:] = [Fault("GetKernelSessionStatus", times=99, answer=error(500, "down"))]
    with pytest.raises(ServiceRefusal, match="not answered 4 questions in a row") as refusal:
        watching()
    assert "goes on whether it is watched or not" in refusal.value.expected
    kernels.service.faults.clear()
    kernels.kernels.clear()
    with pytest.raises(ServiceRefusal, match="knows no kernel"):
        watching()


def test_ctrl_c_leaves_the_session_running(here, kernels, watching, display, tmp_path, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watching()
    assert "goes on" in display.text and "./run.sh kernel watch" in display.text
    assert {entry.path.rpartition("/")[2] for entry in kernels.service.log} == {"GetKernelSessionStatus"}
    assert not (tmp_path / "kernels").exists()


def test_a_service_that_stalls_is_asked_again(kernels, watching, display, tmp_path, monkeypatch):
    """In a child process, as always: it is killed by our own deadline, and the session is followed on."""
    monkeypatch.setattr(connection, "USUAL", Patience(0.5, 20, 20, 2, 0, 0, poll_seconds=0))
    kernels.script = ["COMPLETE"]
    kernels.service.faults.append(Fault("GetKernelSessionStatus", stall=60))
    watching()
    assert "did not answer in time" in display.text
    assert (tmp_path / "kernels" / "2" / "run.json").exists()


def test_a_session_that_runs_for_longer_than_any_can():
    running = Look(session=Session("running"))
    seen = Seen().heard(Look(session=Session("queued")), 0).heard(running, 7200)
    assert not seen.heard(running, 7200 + 12 * 3600).overdue(7200 + 12 * 3600)
    assert seen.heard(running, 8000).overdue(7200 + 13 * 3600)
    assert seen.sentence(7200 + 3720) == "is running, for 1h02m as seen from here"
    assert "not answered 2 times" in seen.missed().missed().sentence(9000)
    assert seen.missed().heard(running, 9000).failures == 0


def test_lines_of_a_log_are_new_once():
    def look(text):
        return Look(session=Session("running"), log=text)

    seen = Seen().heard(look("a\nb\n"), 0)
    assert seen.new_lines == ("a", "b")
    assert seen.missed().new_lines == ()
    assert seen.heard(look(""), 1).heard(look("a\nb\nc\n"), 2).new_lines == ("c",)
