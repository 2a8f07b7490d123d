"""Tasks side by side in processes of their own: what each sees, the tables they give, and processes that die."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from histoblend.config_experiment import Experiment
from histoblend.errors import ArtifactRefusal, DataRefusal, MachineRefusal, Refusal
from histoblend.execution import card_worker, in_processes, schedule
from histoblend.execution.card_messages import (
    Failed,
    Finished,
    Gone,
    Ground,
    Message,
    Observed,
    Order,
    Paused,
    Ready,
    Refused,
    Said,
)
from histoblend.execution.card_process import done, problem
from histoblend.execution.card_worker import CardWorker
from histoblend.execution.clock import Estimate
from histoblend.execution.costs import NetworkCost, Work
from histoblend.execution.device import Device, processor_count
from histoblend.execution.failures import TaskError
from histoblend.execution.in_processes import run_jobs_in_processes
from histoblend.execution.jobs import Job
from histoblend.execution.preflight import PlannedExperiment
from histoblend.execution.records import make_record
from histoblend.execution.session_budget import Outcome, SessionBudget
from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.training.observer import Observer
from histoblend.workspace import ExperimentFolder, Workspace

DATA = {"data": "d1", "data_set": "hcd", "folds": "f1", "side": 96}
RESULT = {"auc": 0.9, "auc_one_view": 0.9, "views": 1, "images_per_second": 10.0}
RESULT |= {"train_seconds": 2.0, "prediction_seconds": 1.0}
DONE = Finished(RESULT)
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")


def is_running(pid: int) -> bool:
    """Whether that process is there and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# A whole run.


@pytest.fixture(scope="module")
def both(
    toy: Path,
    finished_once: tuple[Path, str],
    tmp_path_factory: pytest.TempPathFactory,
    listening: type[Any],
) -> SimpleNamespace:
    """The toy plan in this process, and by two processes with as many threads each."""
    import tensorflow as tf

    told = int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0"))  # to the suite's workers, see tests/conftest.py
    threads = tf.config.threading.get_intra_op_parallelism_threads() or told or processor_count()
    configs = finished_once[0].parent / "configs"
    output, heard = tmp_path_factory.mktemp("side_by_side") / "output", listening()
    settings = ("execution.processes=2", f"execution.threads={threads}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CUDA_VISIBLE_DEVICES", "7,8")
        request = Request("toy", toy, output, settings=settings)
        run(
            request, heard, {"HISTOBLEND_CONFIGS": str(configs)}, blending=False
        )  # it follows from the tables
    return SimpleNamespace(reference=finished_once[0], output=output, text=heard.text, threads=threads)


def tables(output: Path) -> dict[str, bytes]:
    """Predictions of experiments and their folds; the other files tell times, or follow from these."""
    paths = [path for name in ("oof.csv", "test.csv") for path in (output / "experiments").rglob(name)]
    return {str(path.relative_to(output)): path.read_bytes() for path in paths}


def test_two_processes_give_the_bytes_of_one(both: SimpleNamespace) -> None:
    expected = tables(both.reference)
    assert len(expected) == 12 and tables(both.output) == expected
    same = ["epoch", "loss", "accuracy", "learning_rate"]
    for path in both.reference.rglob("history.csv"):
        history = pd.read_csv(both.output / path.relative_to(both.reference))
        pd.testing.assert_frame_equal(history[same], pd.read_csv(path)[same])


def test_each_process_sees_its_own_card_and_does_several_tasks(both: SimpleNamespace) -> None:
    starts = re.findall(
        r"^(process \d): started with process id (\d+), CUDA_VISIBLE_DEVICES=(.*?), (\d+) thread",
        both.text,
        re.MULTILINE,
    )
    assert sorted((lane, mask, int(threads)) for lane, _, mask, threads in starts) == [
        ("process 1", "7", both.threads), ("process 2", "8", both.threads),
    ]  # fmt: skip
    finished = re.findall(r"^(process \d): (\[\d/4\] \w+ fold \d): AUC", both.text, re.MULTILINE)
    assert {lane for lane, _ in finished} == {"process 1", "process 2"} and len(set(finished)) == 4
    assert json.loads((both.output / "run.json").read_text())["device"]["processes"] == 2
    pids = {int(pid) for _, pid, *_ in starts}
    assert len(pids) == 2 and os.getpid() not in pids
    assert not any(is_running(pid) for pid in pids)


# Who does what when: with processes that are played.


def job(
    folder: Path, name: str, fold: int, network: str = "small_vgg", teachers: tuple[str, ...] = ()
) -> Job:
    content: dict[str, Any] = {"name": name, "network": network, "augmentation": "none"}
    if teachers:
        content["training"] = {"pseudo_labels": {"teachers": list(teachers)}}
    experiment = Experiment.model_validate(content)
    planned = PlannedExperiment(experiment, 4, Work(NetworkCost(macs=1), 64, 1, 1), "random", 96)
    estimate = Estimate(name, network, training=10.0, prediction=1.0, epochs=4, fold=fold)
    return Job(
        planned, ExperimentFolder(folder / name), fold, make_record(experiment, 4, "float32", DATA), estimate
    )


def inputs(folder: Path, processes: int = 2) -> Any:
    device = Device("cpu", "played", 0, "float32", 1, True, 0, processes=processes)
    return SimpleNamespace(
        workspace=Workspace(folder), pack=None, folds=None, device=device, synthetic=False, classes=("a", "b")
    )


class Puppet:
    """In the place of a `CardWorker`: answers each task with what the test wrote for it, start by start."""

    answers: Mapping[str, list[list[Message]]] = {}
    heard: Any = None
    log: list[tuple[str, str]]
    """(what happened, what the display had said by then)."""

    def __init__(self, environment: Mapping[str, str], heard: queue.Queue[Any]) -> None:
        self._queue = heard
        self._say("born")

    def send(self, content: Ground | Order) -> None:
        if isinstance(content, Ground):
            return
        name = content.job.name
        self._say(name)
        left = self.answers.get(name, [])
        for message in left.pop(0) if left else [DONE]:
            self._queue.put((self, message))

    def dismiss(self) -> None:
        self._say("dismissed")

    def end(self, seconds: float = 20.0) -> None:
        self._say("ended" if seconds else "killed")

    def how_it_ended(self) -> str:
        return "it was ended by SIGKILL"

    def last_words(self) -> str:
        return "  out of memory"

    def _say(self, what: str) -> None:
        self.log.append((what, self.heard.text))


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listening: type[Any]) -> Callable[..., Outcome]:
    monkeypatch.setattr(in_processes, "CardWorker", Puppet)
    Puppet.log, Puppet.heard = [], listening()

    def played(
        jobs: list[Job], budget: SessionBudget | None = None, **answers: list[list[Message]]
    ) -> Outcome:
        Puppet.answers = {name.replace("_", " fold "): lists for name, lists in answers.items()}
        return run_jobs_in_processes(jobs, inputs(tmp_path), budget, Puppet.heard)

    return played


def happened() -> list[str]:
    return [what for what, _ in Puppet.log]


def said_before(what: str) -> str:
    return next(text for event, text in Puppet.log if event == what)


def test_a_student_waits_for_its_teachers_of_the_same_fold(
    play: Callable[..., Outcome], tmp_path: Path
) -> None:
    jobs = [job(tmp_path, "t", fold) for fold in (0, 1)]
    jobs += [job(tmp_path, "s", fold, teachers=("t",)) for fold in (0, 1)]
    outcome = play([jobs[2], *jobs[:2], jobs[3]])
    assert len(outcome.finished) == 4
    for fold in (0, 1):
        assert f"t fold {fold}: AUC" in said_before(f"s fold {fold}")
    assert happened().count("born") == 2 and happened().count("dismissed") == 2


def test_estimators_do_not_describe_the_same_patches_side_by_side(
    play: Callable[..., Outcome], tmp_path: Path
) -> None:
    jobs = [job(tmp_path, "trees", fold, "texture_hgb") for fold in (0, 1)] + [job(tmp_path, "net", 0)]
    play(jobs)
    started = [what for what in happened() if " fold " in what]
    assert started == ["trees fold 0", "net fold 0", "trees fold 1"]
    assert "trees fold 0: AUC" in said_before("trees fold 1")


def test_what_a_task_says_is_shown_with_its_process(play: Callable[..., Outcome], tmp_path: Path) -> None:
    row = {"epoch": 2.0, "loss": 0.5, "accuracy": 0.75, "images_per_second": 321.4, "seconds": 2.5}
    told: list[Message] = [Ready(99, "8"), Observed("on_start", (4, 10)), Observed("on_step", (0, 1, 0.7))]
    play([job(tmp_path, "a", 0)], a_0=[[*told, Observed("on_epoch", (row,)), Said("a word"), DONE]])
    lines = Puppet.heard.text.splitlines()
    assert lines[0] == "process 1: [1/1] a fold 0: started, takes about 11s"
    assert lines[1].startswith("process 1: started with process id 99, CUDA_VISIBLE_DEVICES=8, 1 thread, ")
    assert lines[2].startswith("process 1: [1/1] a fold 0  epoch 2/4  loss 0.5000")
    assert lines[2].endswith("left 6s")  # half of its ten seconds, and a second of prediction
    assert lines[3] == "process 1: a word"
    assert lines[4].startswith("process 1: [1/1] a fold 0: AUC 0.9000")


def test_paused_tasks_of_all_processes_are_one_outcome(play: Callable[..., Outcome], tmp_path: Path) -> None:
    now = [0.0]
    budget = SessionBudget(ends=30.0, session_seconds=30.0, now=lambda: now[0])
    jobs = [job(tmp_path, "a", fold) for fold in range(3)]
    outcome = play(jobs, budget, a_0=[[Paused(2)]], a_1=[[Paused(3)]])
    assert [one.name for one in outcome.finished] == ["a fold 2"]
    assert [one.job.name for one in outcome.left] == ["a fold 0", "a fold 1"]
    assert "a fold 1: stopped after epoch 3 of 4, its state is saved" in Puppet.heard.text
    now[0] = 25.0  # a whole task does not fit any more
    assert len(play(jobs, budget).left) == 3 and happened().count("a fold 0") == 1


def test_a_deadline_travels_as_seconds_left(tmp_path: Path) -> None:
    """The clocks of two processes may have nothing to do with each other."""
    deadline = job(tmp_path, "a", 0).task().deadline
    assert Order.of(job(tmp_path, "a", 0), deadline).deadline() is None
    budget = SessionBudget(ends=1e9 + 50.0, session_seconds=60.0, now=lambda: 1e9)
    chosen = in_processes.Schedule([job(tmp_path, "a", 0)], "played", budget)
    arrived = Order.of(chosen.total[0], chosen.deadline(chosen.total[0])).deadline()
    assert arrived is not None and arrived.closing_seconds == 1.0
    assert arrived.allows(45.0) and not arrived.allows(50.1)


def test_a_process_that_dies_is_replaced_once(play: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = play([job(tmp_path, "a", fold) for fold in (0, 1)], a_0=[[Gone()]])
    assert len(outcome.finished) == 2
    assert happened().count("a fold 0") == 2 and happened().count("born") == 3
    assert "[1/2] a fold 0: its process died (it was ended by SIGKILL)" in Puppet.heard.text
    assert "out of memory" in Puppet.heard.text


def test_a_process_that_dies_between_two_tasks_is_replaced(
    play: Callable[..., Outcome], tmp_path: Path
) -> None:
    jobs = [job(tmp_path, "a", fold) for fold in range(3)]
    outcome = play(jobs, a_0=[[DONE, Gone()]])
    assert len(outcome.finished) == 3


def test_a_process_that_dies_when_time_is_up_is_not_replaced(
    play: Callable[..., Outcome], tmp_path: Path
) -> None:
    budget = SessionBudget(30.0, 30.0, now=lambda: 25.0 if "trees fold 0" in happened() else 0.0)
    outcome = play([job(tmp_path, "trees", 0, "texture_hgb")], budget, trees_0=[[Gone()]])
    assert len(outcome.left) == 1 and not outcome.failures
    assert happened().count("trees fold 0") == 1
    assert "(it was ended by SIGKILL); no time is left to start it again" in Puppet.heard.text


def test_a_task_that_hangs_is_ended_a_while_after_the_budget_and_the_run_goes_on(
    play: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "GRACE", 0.2)
    budget = SessionBudget(30.0, 30.0, now=lambda: 31.0 if "AUC" in Puppet.heard.text else 0.0)
    outcome = play([job(tmp_path, "a", fold) for fold in (0, 1)], budget, a_0=[[]])
    assert [one.job.name for one in outcome.left] == ["a fold 0"] and len(outcome.finished) == 1
    assert happened().count("killed") == 1 and not outcome.failures
    assert "process 1: [1/2] a fold 0: has not stopped at the end of the budget" in Puppet.heard.text


def test_what_fails_or_dies_twice_ends_its_experiment_and_the_others_go_on(
    play: Callable[..., Outcome], tmp_path: Path
) -> None:
    jobs = [job(tmp_path, name, fold) for name in ("a", "b", "c") for fold in (0, 1)]
    never = [[Refused.of(DataRefusal("begun"))]]
    failed = [[Failed("KeyError: 'x'", "Traceback: line 7")]]
    outcome = play(jobs[::2] + jobs[1::2], a_0=[[Gone()], [Gone()], *never], a_1=never, b_0=failed, b_1=never)
    assert [one.name for one in outcome.finished] == ["c fold 0", "c fold 1"]
    error, died = sorted(outcome.failures, key=lambda one: type(one).__name__, reverse=True)
    for part in ("a fold 0", "SIGKILL", "out of memory", "batch_size", "processes=1"):
        assert part in str(died)
    assert isinstance(died, MachineRefusal) and isinstance(error, TaskError)
    assert "b fold 0: KeyError: 'x'" in str(error) and "line 7" in str(error.__cause__)
    assert "[2/6] b fold 0: FAILED. b fold 0: KeyError: 'x'" in Puppet.heard.text
    assert happened().count("killed") == 1  # what failed: its card may be in no state for another task


def test_a_refusal_of_a_task_comes_out_and_stops_the_others(
    play: Callable[..., Outcome], tmp_path: Path
) -> None:
    jobs = [job(tmp_path, "a", fold) for fold in (0, 1)]
    refusal = Refused.of(ArtifactRefusal("found this", "expected that", "do so"))
    with pytest.raises(ArtifactRefusal) as refused:
        play(jobs, a_0=[[refusal]], a_1=[[]])
    assert (refused.value.found, refused.value.remedy) == ("found this", "do so")
    assert happened().count("killed") == 2


class OddRefusal(DataRefusal):
    """One that cannot be pickled as it is."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}", "another", "take it")


def test_errors_of_a_task_become_messages_with_all_their_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    def raising(error: Exception) -> Message:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr("histoblend.execution.card_process.run_task", fail)
        return done(Order(job(tmp_path, "a", 0), None), None, Observer())  # type: ignore[arg-type]

    refused = pickle.loads(pickle.dumps(raising(OddRefusal(3))))
    again = refused.refusal()
    assert type(again) is OddRefusal and isinstance(again, Refusal)
    assert (again.found, again.expected, again.remedy) == ("number 3", "another", "take it")
    assert str(again) == str(OddRefusal(3)) and again.exit_code == DataRefusal.exit_code
    failed = raising(ValueError("odd"))
    assert isinstance(failed, Failed) and failed.error == "ValueError: odd" and "in fail" in failed.traceback
    assert isinstance(problem(ValueError("odd")), Failed)


# Real processes that do nothing heavy.


def start(monkeypatch: pytest.MonkeyPatch, script: str) -> tuple[CardWorker, queue.Queue[Any]]:
    monkeypatch.setattr(card_worker, "COMMAND", ("-c", script))
    heard: queue.Queue[Any] = queue.Queue()
    return CardWorker({**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, heard), heard


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", ["SIGKILL", "memory"]),
        ("os.kill(os.getpid(), signal.SIGSEGV)", ["SIGSEGV"]),
        ("os.write(1, pickle.dumps('x' * 1000)[:50]); os._exit(3)", ["exit code 3"]),
    ],
)
def test_the_end_of_a_process_is_heard_at_once_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, end: str, words: list[str]
) -> None:
    script = f"import os, pickle, signal, sys; print('first\\n' * 50 + 'so long', file=sys.stderr, flush=True); {end}"
    worker, heard = start(monkeypatch, script)
    assert heard.get(timeout=60) == (worker, Gone())
    assert all(word in worker.how_it_ended() for word in words)
    assert worker.last_words().endswith("so long") and worker.last_words().count("\n") < 20
    worker.send("nobody listens any more")
    worker.end()


LIGHT = """
import os, pathlib, signal
import histoblend.execution.card_process as process
from histoblend.errors import DataRefusal

def run_task(task, inputs, train):
    print("printed where a message might be taken for it")
    folder = task.folder.folder
    state = folder / "state"
    if task.fold == 1:
        raise DataRefusal(f"fold {task.fold} in {os.environ['CUDA_VISIBLE_DEVICES']}", "another", "take it")
    if not state.exists():
        folder.mkdir(parents=True)
        state.write_text("epoch 1")
        os.kill(os.getpid(), signal.SIGKILL)
    inputs.tell(f"goes on from {state.read_text()}")
    return dict(auc=.9, auc_one_view=.9, views=1, images_per_second=1., train_seconds=1., prediction_seconds=1.)

process.enter_device = lambda device: None
process.run_task = run_task
process.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_a_killed_task_goes_on_in_a_new_process_which_then_does_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listening: type[Any]
) -> None:
    monkeypatch.setattr(card_worker, "COMMAND", ("-c", LIGHT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    heard = listening()
    with pytest.raises(DataRefusal) as caught:
        run_jobs_in_processes([job(tmp_path, "a", fold) for fold in (0, 1)], inputs(tmp_path, 1), None, heard)
    assert caught.value.found == "fold 1 in 5" and caught.value.remedy == "take it"
    assert heard.text.count("started with process id") == 2
    assert heard.text.count("its process died (it was ended by SIGKILL") == 1
    assert "goes on from epoch 1" in heard.text and "[1/2] a fold 0: AUC 0.9000" in heard.text


ORPHAN = """
import pickle, subprocess, sys, time
child = "import time; from histoblend.execution.card_process import Orders; import sys; "
child += "orders = Orders(sys.stdin.buffer); orders.next(); print('at work', flush=True); time.sleep(600)"
process = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE)
pickle.dump("a task", process.stdin); process.stdin.flush()
print(process.pid, flush=True)
time.sleep(600)
"""


@needs_proc
def test_a_process_leaves_with_a_run_that_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "at work\n" and is_running(pid)
        parent.kill()
    wait_until(lambda: not is_running(pid))


# The command itself, cut in every way.


def command(toy: Path, output: Path, *settings: str) -> list[str]:
    words = [sys.executable, "-m", "histoblend", "run", "toy", "--experiments", "first", "--data", str(toy)]
    words += ["--output", str(output)]
    for one in ("training.epochs=40", "training.batch_size=4", "execution.threads=1", *settings):
        words += ["--set", one]
    return words


def children(parent: int) -> list[int]:
    """All processes below `parent`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(parent):
                found.append(int(stat.parent.name))
    return [*found, *(pid for child in found for pid in children(child))]


@pytest.mark.slow
@needs_proc
def test_cut_by_the_user_by_the_system_and_below_it_gives_the_bytes_of_one_whole_run(
    toy: Path, toy_configs: Path, tmp_path: Path
) -> None:
    """Ctrl-C, then the run killed, then one of its two processes killed, each with feed workers, in mid-training."""
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    states = [cut / f"experiments/first/fold_{fold}/state/last.npz" for fold in (0, 1)]

    def begun(name: str) -> tuple[subprocess.Popen[str], list[int]]:
        """A run in a session of its own, both tasks of which have saved a state now, and its processes."""
        before = [path.stat().st_mtime_ns if path.exists() else 0 for path in states]
        log = (tmp_path / f"{name}.txt").open("w")
        words = command(toy, cut, "execution.processes=2", "execution.workers=1")
        process = subprocess.Popen(words, stdout=log, stderr=log, text=True, start_new_session=True)

        def saved() -> bool:
            assert process.poll() is None, (tmp_path / f"{name}.txt").read_text()
            return all(
                path.exists() and path.stat().st_mtime_ns > old
                for path, old in zip(states, before, strict=True)
            )

        wait_until(saved)
        return process, children(process.pid)

    process, below = begun("interrupted")
    assert len(below) >= 4  # two tasks, and the feed of each
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    wait_until(lambda: not any(map(is_running, below)), 20)
    assert all(path.exists() for path in states)

    process, below = begun("killed")
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_running, below)), 20)
    assert all(path.exists() for path in states)

    process, _ = begun("robbed")
    text = (tmp_path / "robbed.txt").read_text()
    os.kill(int(re.findall(r"started with process id (\d+)", text)[0]), signal.SIGKILL)
    assert process.wait(300) == 0
    text = (tmp_path / "robbed.txt").read_text()
    assert text.count("its process died") == 1 and text.count("started with process id") == 3

    subprocess.run(command(toy, whole, "execution.processes=1"), check=True, capture_output=True)
    assert tables(cut) == tables(whole) and len(tables(whole)) == 6
    assert (cut / "submission.csv").read_bytes() == (whole / "submission.csv").read_bytes()
