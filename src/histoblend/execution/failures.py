"""Tasks that failed: what is said of them at once, and what the run ends with when all others are through."""

from __future__ import annotations

from histoblend.errors import MachineRefusal
from histoblend.execution.jobs import Job
from histoblend.reporting.progress import Display

# What Python, TensorFlow, JAX and the driver call it.
OUT_OF_MEMORY = ("MemoryError", "ResourceExhausted", "RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "out of memory")
DISK = "No space left"  # is exhausted in the same words
LENGTH = 400  # of what is shown of a backend's sentence, which may list all that lies on the card
REMEDY = (
    "where memory ran out, the machine's or the card's: a smaller training.batch_size, fewer execution.workers, or "
    "one task at a time (--set execution.processes=1). Then the same command goes on from the last saved epoch; "
    "what is finished is kept."
)


class TaskError(RuntimeError):
    """An error nobody foresaw, in a task. Its traceback is the cause, as text: the error itself holds memory."""


def failure(job: Job, error: str, traceback: str) -> Exception:
    """What a run ends with whose `job` met `error`: a refusal with the remedy where memory ran out."""
    short = error if len(error) <= LENGTH else f"{error[:LENGTH]} ..."
    found: Exception = TaskError(f"{job.name}: {short}")
    if any(words in error for words in OUT_OF_MEMORY) and DISK not in error:
        found = MachineRefusal(f"Memory ran out in {job.name}: {short}", "room for a training step", REMEDY)
    found.__cause__ = RuntimeError(f"in the task:\n{traceback}")
    return found


def tell_failure(label: str, job: Job, error: Exception, display: Display) -> None:
    """Say that `job` failed and what follows from it, with its traceback: the run may go on for hours."""
    where = f"\n{error.__cause__}" if error.__cause__ else ""
    display.warn(
        f"{label}: FAILED. {error}{where}\nNo further task of {job.experiment.name}, nor of what learns from it, is "
        "started in this run. The others go on; then the run ends with this error."
    )
