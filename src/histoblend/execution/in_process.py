"""Tasks one after the other in this process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence

from histoblend.errors import Refusal
from histoblend.execution.failures import failure, tell_failure
from histoblend.execution.jobs import Job, result_line, trainer
from histoblend.execution.schedule import Schedule
from histoblend.execution.session_budget import Outcome, SessionBudget
from histoblend.reporting.progress import Display, duration
from histoblend.training.deadline import TaskPaused
from histoblend.training.task import TaskInputs, run_task


def run_jobs(
    jobs: Sequence[Job], inputs: TaskInputs, budget: SessionBudget | None, display: Display
) -> Outcome:
    """Run those of `jobs` that are not done, as far as the budget allows.

    Raises:
        Refusal: as a task raised it; any other error of a task is a failure in the outcome.
    """
    schedule = Schedule(jobs, inputs.device.label, budget)
    while (job := schedule.take()) is not None:
        _run(job, schedule, inputs, display)
    return schedule.outcome()


def _run(job: Job, schedule: Schedule, inputs: TaskInputs, display: Display) -> None:
    """Run one task to its end, or to an epoch's end where time is up."""
    label, started = f"{schedule.number(job)} {job.name}", time.monotonic()
    tell_start(label, schedule, job, display)
    try:
        with display.training(label, schedule.clock) as observer:
            taught = schedule.taught_by(job, observer)
            result = run_task(job.task(schedule.deadline(job)), inputs, trainer(job, taught))
    except TaskPaused as paused:
        schedule.pause(job)
        display.tell(
            f"{label}: stopped after epoch {paused.epochs} of {job.estimate.epochs}, its state is saved"
        )
        return
    except Refusal:
        raise  # it concerns the others too
    except Exception as error:
        failed = failure(job, f"{type(error).__name__}: {error}", traceback.format_exc())
        schedule.fail(job, failed)
        tell_failure(label, job, failed, display)
        return
    seconds = time.monotonic() - started
    schedule.finish(job, result, seconds)
    display.tell(result_line(label, result, seconds, schedule.clock.left()))


def tell_start(label: str, schedule: Schedule, job: Job, display: Display) -> None:
    """Say that a task begins, where no row shows it, and in any case if it will not be finished in this session."""
    takes = duration(schedule.clock.expected(job.estimate).total)
    if schedule.is_cut(job):
        display.tell(
            f"{label}: takes about {takes}, more than is left; to be cut at an epoch's end, for the next session"
        )
    elif not display.live:
        display.tell(f"{label}: started, takes about {takes}")
