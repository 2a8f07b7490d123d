"""Tasks side by side, each in a process of its own: one on each card.

The process of the run holds no card; it gives out tasks, listens and shows. A process is kept for the next task, since
a backend takes long to start. One that dies is noticed at once, and its task is started again, once, from the state of
its last epoch's end. When a task refuses, the others are stopped where they are: each loses what it did since its last
epoch's end, and no more, and the user hears the reason without waiting for an hour. A task that fails otherwise is told
and ends its own experiment only. One that has not stopped a while after the budget's end is ended: it may hang.
"""

from __future__ import annotations

import os
import queue
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from histoblend.errors import MachineRefusal, counted
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
from histoblend.execution.card_worker import CardWorker
from histoblend.execution.cards import Lane, lane_environment, lanes_of
from histoblend.execution.device import VISIBLE
from histoblend.execution.failures import REMEDY, failure, tell_failure
from histoblend.execution.in_process import tell_start
from histoblend.execution.jobs import Job, result_line
from histoblend.execution.schedule import Schedule
from histoblend.execution.session_budget import Outcome, SessionBudget
from histoblend.models.weights import DOWNLOAD
from histoblend.reporting.progress import Display, Rows
from histoblend.training.observer import Observer
from histoblend.training.task import TaskInputs

LIVES = 2  # of a task: how often its process may be started


@dataclass
class Running:
    """A task at work in a lane."""

    job: Job
    label: str
    started: float
    observer: Observer


def run_jobs_in_processes(
    jobs: Sequence[Job], inputs: TaskInputs, budget: SessionBudget | None, display: Display
) -> Outcome:
    """Run those of `jobs` that are not done, `inputs.device.processes` at a time, as far as the budget allows.

    Raises:
        Refusal: as a task raised it; any other error of a task, or its process's second death, is a failure in the
            outcome.
    """
    lanes = lanes_of(inputs.device, os.environ)
    schedule = Schedule(jobs, inputs.device.label, budget, len(lanes))
    fetch_weights(schedule.total, inputs, display)
    with display.side_by_side() as rows:
        crew = Crew(lanes, schedule, Ground.of(inputs), display, rows)
        try:
            crew.work()
        except BaseException:
            crew.stop(seconds=0.0)
            raise
        crew.stop()
    return schedule.outcome()


def fetch_weights(jobs: Sequence[Job], inputs: TaskInputs, display: Display) -> None:
    """Fetch starting weights that are not on this machine here, once: processes that fetch one file together spoil it.

    Raises:
        MachineRefusal: the fetch failed.
    """
    missing = {job.experiment.name: job.experiment for job in jobs if job.planned.weights == DOWNLOAD}
    for name, experiment in missing.items():
        from histoblend.models.registry import build_network

        display.tell(f"Fetching the starting weights of {name}.")
        problem = experiment.problem(inputs.pack.side, len(inputs.classes))
        build_network(experiment.network.name, experiment.network.parameters, problem)


class Crew:
    """The processes of a run's tasks, at most one in each lane."""

    def __init__(
        self, lanes: Sequence[Lane], schedule: Schedule, ground: Ground, display: Display, rows: Rows
    ) -> None:
        self._lanes, self._schedule, self._ground = lanes, schedule, ground
        self._display, self._rows = display, rows
        self._heard: queue.Queue[tuple[CardWorker, Message]] = queue.Queue()
        self._workers: dict[Lane, CardWorker] = {}
        self._running: dict[Lane, Running] = {}
        self._lives = Counter[str]()

    def work(self) -> None:
        """Give out tasks and listen until none is running and none may be started."""
        while True:
            for lane in self._lanes:
                if lane not in self._running and (job := self._schedule.take()) is not None:
                    self._start(lane, job)
            if not self._running:
                return
            try:
                worker, message = self._heard.get(timeout=self._schedule.patience())
            except queue.Empty:
                self._give_up()
                continue
            speaker = [lane for lane, known in self._workers.items() if known is worker]
            if speaker:  # else it was given up already
                self._take_in(speaker[0], message)

    def stop(self, seconds: float | None = None) -> None:
        """End all processes: those with nothing to do by themselves, within `seconds`, else by force."""
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.end() if seconds is None else worker.end(seconds)

    def _start(self, lane: Lane, job: Job) -> None:
        """Begin `job` in `lane`, or begin it again from its saved state."""
        label = f"{lane.name}: {self._schedule.number(job)} {job.name}"
        tell_start(label, self._schedule, job, self._display)
        self._lives[job.name] += 1
        observer = self._rows.begin(label, self._time_left(job))
        self._running[lane] = Running(job, label, time.monotonic(), observer)
        if lane not in self._workers:
            environment = lane_environment(os.environ, lane, self._ground.device, sys.path)
            self._workers[lane] = CardWorker(environment, self._heard)
            self._workers[lane].send(self._ground)
        self._workers[lane].send(Order.of(job, self._schedule.deadline(job)))

    def _time_left(self, job: Job) -> Callable[[float], float]:
        def left(share: float) -> float:
            self._schedule.clock.reached(job.estimate, share)
            return self._schedule.clock.left()

        return left

    def _take_in(self, lane: Lane, message: Message) -> None:
        match message:
            case Ready(pid, mask):
                self._display.tell(introduction(lane, pid, mask, self._ground))
            case Said(text):
                self._display.tell(f"{lane.name}: {text}")
            case Observed(name, values):
                one = self._running[lane]
                getattr(self._schedule.taught_by(one.job, one.observer), name)(*values)
            case Finished(result):
                self._finished(lane, result)
            case Paused(epochs):
                one = self._end(lane)
                self._schedule.pause(one.job)
                of_all = f"epoch {epochs} of {one.job.estimate.epochs}"
                self._display.tell(f"{one.label}: stopped after {of_all}, its state is saved")
            case Refused():
                raise message.refusal()
            case Failed(error, traceback):
                self._dismiss(lane)  # the card may be in no state for another task
                self._fail(lane, failure(self._running[lane].job, error, traceback))
            case Gone():
                self._died(lane)

    def _finished(self, lane: Lane, result: Mapping[str, object]) -> None:
        one = self._end(lane)
        seconds = time.monotonic() - one.started
        self._schedule.finish(one.job, result, seconds)
        self._display.tell(result_line(one.label, dict(result), seconds, self._schedule.clock.left()))

    def _fail(self, lane: Lane, error: Exception) -> None:
        one = self._end(lane)
        self._schedule.fail(one.job, error)
        tell_failure(one.label, one.job, error, self._display)

    def _give_up(self) -> None:
        """End the processes of tasks that have not stopped long after they had to: they hang, or take far longer."""
        for lane in list(self._running):
            one = self._end(lane)
            self._dismiss(lane)
            self._schedule.pause(one.job)
            self._display.warn(
                f"{one.label}: has not stopped at the end of the budget, so its process was ended. What it did since "
                "its last saved epoch is lost."
            )

    def _dismiss(self, lane: Lane) -> None:
        """End a process by force; the next task in its lane gets a new one."""
        self._workers.pop(lane).end(0.0)

    def _end(self, lane: Lane) -> Running:
        one = self._running.pop(lane)
        self._rows.end(one.observer)
        return one

    def _died(self, lane: Lane) -> None:
        worker = self._workers.pop(lane)
        how, words = worker.how_it_ended(), worker.last_words()
        worker.end()
        if lane not in self._running:
            return  # it had nothing to do; the next task gets a new one
        job = self._running[lane].job
        if self._lives[job.name] >= LIVES:
            self._fail(lane, died_again(job, lane, how, words))
            return
        one = self._end(lane)
        if not self._schedule.may_restart(job):
            self._schedule.pause(job)
            self._display.warn(f"{one.label}: its process died ({how}); no time is left to start it again.")
            return
        self._display.warn(
            f"{one.label}: its process died ({how}). It is started again and goes on from its last saved epoch."
            + (f" The end of what it printed:\n{words}" if words else "")
        )
        self._start(lane, job)


def introduction(lane: Lane, pid: int, mask: str | None, ground: Ground) -> str:
    """What is said of a process that has started."""
    device = ground.device
    sees = "" if mask is None else f", {VISIBLE}={mask}"
    share = f"{counted(device.threads, 'thread')}, {counted(device.workers, 'process')} for augmentation"
    return f"{lane.name}: started with process id {pid}{sees}, {share}"


def died_again(job: Job, lane: Lane, how: str, words: str) -> MachineRefusal:
    """The refusal for a task whose process died as often as it may."""
    printed = f" The end of what it printed:\n{words}" if words else " It printed nothing."
    return MachineRefusal(
        f"The process of {job.name} ({lane.name}) died twice; the second time {how}.{printed}",
        "a process that lives to the end of its task",
        REMEDY,
    )
