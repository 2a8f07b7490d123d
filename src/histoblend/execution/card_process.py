"""A process that does one task after the other, on one card; `card_worker` starts it.

It starts nothing by itself: what it works on and what it is to do arrive on its standard input, its answers go out
on what was its standard output. When its input ends, the run has ended, and so does this process: at once if it is
in the middle of a task, whose state of the last epoch's end is on disk.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO

import cv2

from histoblend.data.feed_workers import FeedWorkers
from histoblend.errors import Refusal
from histoblend.execution.card_messages import (
    Failed,
    Finished,
    Ground,
    Message,
    Observed,
    Order,
    Paused,
    Ready,
    Refused,
    Said,
)
from histoblend.execution.device import VISIBLE, enter_device
from histoblend.execution.jobs import trainer
from histoblend.training.deadline import TaskPaused
from histoblend.training.observer import Observer
from histoblend.training.task import TaskInputs, run_task


class Orders:
    """What arrives on the standard input; its end ends a process that is at work."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._arrived: queue.Queue[Any] = queue.Queue()
        self._at_work = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> Any:
        """What arrived, waited for; None at the end."""
        return self._arrived.get()

    def rest(self) -> None:
        """The work that arrived is done."""
        self._at_work.clear()

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                arrived = pickle.load(self._stream)
                self._at_work.set()
                self._arrived.put(arrived)
        if self._at_work.is_set():
            os._exit(1)  # the run is gone: nobody may go on writing into its output folder
        self._arrived.put(None)


class Answers:
    """What goes out: on the standard output as it was at the start; whatever is printed goes where errors go."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message."""
        with self._lock:
            pickle.dump(message, self._stream)
            self._stream.flush()

    def observer(self) -> Observer:
        """An observer that sends on what it is told."""

        def told(name: str) -> Any:
            return lambda *values: self.send(Observed(name, values))

        return Observer(told("on_start"), told("on_step"), told("on_epoch"))


def main() -> None:
    """Do what arrives until nothing arrives any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the run's process decides
    answers, orders = Answers(), Orders(sys.stdin.buffer)
    ground: Ground | None = orders.next()
    if ground is None:
        return
    try:
        enter_device(ground.device)
    except Exception as error:
        answers.send(problem(error))
        while True:  # until the run ends this process; no task is begun
            orders.next()
    cv2.setNumThreads(ground.device.threads)
    workers = FeedWorkers(ground.device.workers)
    inputs = ground.inputs(workers, lambda text: answers.send(Said(text)))
    answers.send(Ready(os.getpid(), os.environ.get(VISIBLE)))
    orders.rest()
    while (order := orders.next()) is not None:
        answer = done(order, inputs, answers.observer())
        orders.rest()
        answers.send(answer)
    workers.close()
    os._exit(0)  # a backend takes seconds to tidy up what the system frees at once


def done(order: Order, inputs: TaskInputs, observer: Observer) -> Message:
    """Do one task; how it ended."""
    try:
        result = run_task(order.job.task(order.deadline()), inputs, trainer(order.job, observer))
    except TaskPaused as paused:
        return Paused(paused.epochs)
    except Exception as error:
        return problem(error)
    return Finished(result)


def problem(error: Exception) -> Message:
    """What to say of an error: a refusal as it is; of any other its words and its traceback."""
    if isinstance(error, Refusal):
        return Refused.of(error)
    return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
