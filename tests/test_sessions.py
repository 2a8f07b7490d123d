"""A plan cut into sessions by its budget: what each leaves and says, and that the last one ends as if uncut."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from histoblend import sessions
from histoblend.execution.jobs import Job
from histoblend.execution.session_budget import STARTED, Left, Outcome, SessionBudget
from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.sessions import Session, note_paused, tell_paused
from histoblend.training import callbacks
from histoblend.workspace import Workspace

EPOCH = 1000.0
PLAN = "experiments: [everything, texture]\ndata: {near_duplicates: keep}\nfolds: {count: 2}\nreport: false\ntta: 1\n"
AVERAGED = """
network: {name: small_vgg, widths: [4, 8], depths: [1, 1], dropout: 0.3}
augmentation: light
training: {epochs: 3, batch_size: 8, average_last: 0.7, mixup: 0.2, tensorboard: false}
"""
STUDENT = "base: averaged\ntraining: {epochs: 2, pseudo_labels: {teachers: [everything]}}\n"


@pytest.fixture
def configs(toy_configs: Path) -> Path:
    (toy_configs / "plans/cut.yaml").write_text(PLAN)
    (toy_configs / "plans/taught.yaml").write_text(PLAN.replace("texture]", "averaged, student]"))
    (toy_configs / "experiments/texture.yaml").write_text("network: texture_hgb\nviews: 1\n")
    everything = toy_configs / "experiments/everything.yaml"
    everything.write_text(everything.read_text().replace("{epochs: 6,", "{epochs: 6, tensorboard: false,"))
    (toy_configs / "experiments/averaged.yaml").write_text(AVERAGED)
    (toy_configs / "experiments/student.yaml").write_text(STUDENT)
    return toy_configs


class Kaggle:
    """Sessions whose clock only epochs move on, each by far more than any task is thought to take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.ends, self.save = 0.0, 0.0, callbacks.save_state
        self.epochs: list[str] = []
        monkeypatch.setattr(callbacks, "save_state", self.end_of_epoch)
        monkeypatch.setattr(Session, "budget", lambda session: self.budget(session))

    def end_of_epoch(self, path: Path, state: Any) -> None:
        self.save(path, state)
        self.epochs.append(f"{path.parts[-4]} {path.parts[-3]}")
        self.now += EPOCH

    def budget(self, session: Session) -> SessionBudget | None:
        if session.prepared.plan.budget is None:
            return None
        return SessionBudget(self.now + self.ends, self.ends, lambda: self.now)

    def session(self, request: Request, epochs: float, display: Any) -> dict[str, Any] | None:
        """What the session leaves about what is left."""
        self.ends, self.epochs = epochs * EPOCH, []
        run(request, display)
        paused = Workspace(request.output or Path()).paused
        return json.loads(paused.read_text()) if paused.exists() else None


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Kaggle:
    return Kaggle(monkeypatch)


def tables(output: Path, folder: str = "**") -> Iterator[tuple[str, bytes]]:
    """All predictions, by path."""
    for path in sorted([*output.glob(f"e*/*/{folder}/oof.csv"), *output.glob(f"e*/*/{folder}/test.csv")]):
        yield str(path.relative_to(output)), path.read_bytes()


def unfinished(paused: dict[str, Any] | None) -> list[tuple[str, int, int, int]]:
    keys = ("experiment", "fold", "epochs_done", "epochs")
    return [tuple(one[key] for key in keys) for one in (paused or {"left": []})["left"]]  # type: ignore[misc]


def test_a_plan_in_two_sessions_gives_the_bytes_of_an_uncut_one(
    configs: Path, kaggle: Kaggle, toy: Path, tmp_path: Path, listening: Any
):
    """Dropout, moving average, plateau, patience, float16; cut after its last epoch but one."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(Request("cut", toy, whole, ("everything",), (0,)), listening())
    request = Request("cut", toy, cut, settings=("budget=11h",))

    heard = listening()
    other = ("everything", 1, 0, 6)
    assert unfinished(kaggle.session(request, 5.001, heard)) == [("everything", 0, 5, 6), other]
    assert (
        "PAUSED: what is left does not fit the budget of 11h. 2 tasks done in this session; left:"
        in heard.text
    )
    assert "everything: fold 0 (epoch 5 of 6 done), 1; about" in heard.text
    assert "To go on: the same command once more." in heard.text
    assert (cut / "submission.csv").exists()  # of the one experiment that is complete

    heard = listening()
    narrow = replace(request, experiments=("everything",), folds=(0,))
    assert unfinished(kaggle.session(narrow, 9.5, heard)) == [other]  # the plan's, if not this session's
    assert kaggle.epochs == ["everything fold_0"] and "PAUSED" not in heard.text
    ours, theirs = (dict(tables(folder, "fold_0")) for folder in (cut, whole))
    assert [path for path in theirs if "everything" in path and ours[path] == theirs[path]] == list(theirs)
    assert len(theirs) == 2


def test_a_session_that_fails_leaves_no_note_of_an_earlier_one(
    configs: Path, toy: Path, tmp_path: Path, listening: Any, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    paused = Workspace(tmp_path).paused
    paused.write_text('{"left": [], "budget": "12s", "sessions_to_go": 3}')
    monkeypatch.setattr("histoblend.pipeline.train_all", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        run(Request("cut", toy, tmp_path, settings=("budget=2h",)), listening())
    assert not paused.exists()


def left_of(name: str, seconds: float, piece: float) -> Left:
    task = SimpleNamespace(start=0.0, epochs=9)
    job = SimpleNamespace(name=f"{name} fold 0", fold=0, experiment=SimpleNamespace(name=name), estimate=task)
    return Left(cast(Job, job), 0, seconds, piece)


def test_a_task_that_fits_no_session_is_named_and_else_the_push_that_goes_on(tmp_path: Path, listening: Any):
    """Trees of 500 s cannot be cut, whatever else sessions of 380 s could do."""
    plan = SimpleNamespace(
        budget="400s", budget_seconds=400.0, name="cut", folds=SimpleNamespace(count=1), report=False
    )
    prepared: Any = SimpleNamespace(
        workspace=Workspace(tmp_path), plan=plan, planned=[], others=[], folds=(0,),
        device=SimpleNamespace(processes=1),
    )  # fmt: skip
    session = Session(prepared, {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, 0.0, ("budget=400s", "tta=[1, 2]"))
    left, texts, sessions = [left_of("net", 900.0, 100.0), left_of("trees", 500.0, 500.0)], [], []
    for few in (left, left[:1]):
        paused, heard = note_paused(session, Outcome([], few), SessionBudget(400.0, 380.0)), listening()
        assert paused is not None
        tell_paused(paused, heard)
        texts.append(heard.text)
        sessions.append(json.loads(prepared.workspace.paused.read_text())["sessions_to_go"])
    assert sessions == [None, 3]
    assert "No session of 400s brings trees fold 0 on" in texts[0] and "a budget of 10m21s" in texts[0]
    assert "To go on: ./run.sh kernel push --plan cut --set budget=400s --set 'tta=[1, 2]'," in texts[1]


@pytest.mark.slow
def test_one_epoch_a_session_with_a_teacher_of_another_session(
    configs: Path, kaggle: Kaggle, toy: Path, tmp_path: Path, listening: Any
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(Request("taught", toy, whole), listening())
    request = Request("taught", toy, cut, settings=("budget=11h",))
    count = 1
    while kaggle.session(request, 1.0, listening()) is not None:
        count += 1
        assert len(kaggle.epochs) == 1
    assert count >= 2 * 3 + 2 * 3 + 2 * 2
    assert dict(tables(cut)) == dict(tables(whole))


def test_a_budget_too_small_for_anything_says_which_would_do(
    configs: Path, toy: Path, tmp_path: Path, listening: Any
):
    """Twenty seconds are kept back for the tail; eight are what a start is thought to take."""
    heard = listening()
    request = Request("cut", toy, tmp_path / "output", ("everything",), settings=("budget=12s",))
    ranking = run(request, heard)
    assert ranking is not None and ranking.empty
    assert "No session of 12s brings any of it on" in heard.text
    paused = json.loads((tmp_path / "output/paused.json").read_text())
    assert paused["sessions_to_go"] is None and paused["seconds_left"] > 2 * 8
    useful = heard.text.partition("To do: a budget of ")[2].partition(" or more")[0]
    assert 28 < int(useful.removesuffix("s")) < 60


def test_what_was_before_this_process_counts_where_the_environment_says_so(
    configs: Path, toy: Path, tmp_path: Path, listening: Any
):
    heard = listening()
    request = Request("cut", toy, tmp_path / "output", settings=("budget=2h",))
    run(request, heard, os.environ | {STARTED: str(time.time() - 7300)})
    assert "No session of 2h brings any of it on: start, blend and report take about 2h0" in heard.text


def test_a_dry_run_says_how_many_sessions_here_and_on_two_cards(
    configs: Path, toy: Path, tmp_path: Path, listening: Any, monkeypatch: pytest.MonkeyPatch
):
    """Two tasks of 8 s of start and a blink here; of 240 s there, side by side."""
    for budget, here, there in (("32s", 2, "too short"), ("6m", 1, 1)):
        heard = listening()
        request = Request("cut", toy, tmp_path / "output", settings=(f"budget={budget}",), dry_run=True)
        run(request, heard)
        mine, cards = [line for line in heard.text.splitlines() if line.startswith("On ")]
        assert f"{here} session" in mine
        assert cards.startswith(
            "On 2 x T4, a task on each (rates ASSUMED, as in execution/costs.py): 0.1 hours of work"
        )
        assert (f"{there} session" if isinstance(there, int) else there) in cards
    monkeypatch.setattr(sessions, "estimate_pack", None)  # without a budget nothing is asked for
    heard = listening()
    sessions.tell_projection(_no_budget(toy, tmp_path, listening), heard)
    assert heard.text == ""


def _no_budget(toy: Path, tmp_path: Path, listening: Any) -> Session:
    from histoblend.preparation import prepare

    return Session(
        prepare(Request("cut", toy, tmp_path / "output"), listening(), os.environ), os.environ, 0.0
    )
