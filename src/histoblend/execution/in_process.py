"""Tasks one after the other in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence

from histoblend.execution.jobs import Job, result_line, trainer
from histoblend.execution.schedule import Schedule
from histoblend.execution.session_budget import Outcome, SessionBudget
from histoblend.reporting.progress import Display, duration
from histoblend.training.deadline import TaskPaused
from histoblend.training.task import TaskInputs, run_task


def run_jobs(
    jobs: Sequence[Job], inputs: TaskInputs, budget: SessionBudget | None, display: Display
) -> Outcome:
    """Run those of `jobs` that are not done, as far as the budget allows."""
    schedule = Schedule(jobs, inputs.device.label, budget)
    while (job := schedule.take()) is not None:
        _run(job, schedule, inputs, display)
    return schedule.outcome()


def _run(job: Job, schedule: Schedule, inputs: TaskInputs, display: Display) -> None:
    """Run one task to its end, or to an epoch's end where time is up."""
    label, started = f"{schedule.number(job)} {job.name}", time.monotonic()
    if schedule.is_cut(job):
        display.tell(cut_line(label, schedule, job))
    try:
        with display.training(label, schedule.clock) as observer:
            result = run_task(job.task(schedule.deadline(job)), inputs, trainer(job, observer))
    except TaskPaused as paused:
        schedule.pause(job)
        display.tell(
            f"{label}: stopped after epoch {paused.epochs} of {job.estimate.epochs}, its state is saved"
        )
        return
    seconds = time.monotonic() - started
    schedule.finish(job, result, seconds)
    display.tell(result_line(label, result, seconds, schedule.clock.left()))


def cut_line(label: str, schedule: Schedule, job: Job) -> str:
    """What is said before a task that will not be finished in this session."""
    takes = duration(schedule.clock.expected(job.estimate).total)
    return (
        f"{label}: takes about {takes}, more than is left; to be cut at an epoch's end, for the next session"
    )
