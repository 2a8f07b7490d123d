"""What a session left behind, told: submission, paused or finished, what failed, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from histoblend.errors import counted, some
from histoblend.kaggle.kernels import Kernel, Session
from histoblend.kaggle.session.stored import RECORD
from histoblend.reporting.progress import Display, duration
from histoblend.workspace import Workspace, read_json

LAST_LINES = 20
AGAIN = "What is finished is kept: `./run.sh kernel push` starts the next session, which goes on with it."


def tell_outcome(folder: Path, kernel: Kernel, session: Session, display: Display) -> None:
    """Say what lies in `folder`, which was pulled."""
    workspace, failed = Workspace(folder), has_failed(folder)
    if session.state != "complete" or failed:
        tell_end_of_log(folder / f"{kernel.slug}.log", display)
    if failed:
        called = ", though Kaggle calls the session complete" if session.state == "complete" else ""
        display.warn(f"The run failed there with exit code {session_of(folder).get('exit_code')}{called}.")
    if session_of(folder).get("handed_on"):
        display.warn(
            "The session made nothing itself: what lies there is the earlier sessions' output, handed on."
        )
    if not workspace.run_record.exists():
        display.warn("No run has left anything in it: only what stands above, and its log.")
        return
    if workspace.submission.exists():
        display.tell(f"Submission: {workspace.submission}")
        display.tell(f"Next: ./run.sh submit --output {folder}")
    else:
        display.tell("No submission yet: no experiment is complete.")
    display.tell(f"To look at it: ./run.sh rank --output {folder}; ./run.sh report --output {folder}")
    tell_standing(folder, display)


def session_of(folder: Path) -> dict[str, Any]:
    """What the session noted of itself; empty where it left no note."""
    path = folder / RECORD
    return dict(read_json(path)) if path.exists() else {}


def has_failed(folder: Path) -> bool:
    """Whether the session noted that its run failed: Kaggle may call it complete, since it packed all the same."""
    return session_of(folder).get("state") == "failed"


def tell_standing(folder: Path, display: Display) -> None:
    """Say whether the plan is finished, by what the session noted of it."""
    noted = session_of(folder)
    if not noted:
        display.warn(f"The session left no {RECORD}: it was stopped before its end. {AGAIN}")
        return
    state, left = noted.get("state", ""), noted.get("left", [])
    if state == "finished":
        display.tell(f"Plan {noted.get('plan')} is finished.")
    elif state == "paused":
        display.tell(f"Paused: {counted(len(left), 'task')} left ({some(left)}){_to_go(folder)}. {AGAIN}")
    elif state == "failed":
        display.tell(f"Once its reason is mended: {AGAIN}")
    else:
        display.warn(f"The session's run has state {state!r}: it was stopped before its end. {AGAIN}")


def _to_go(folder: Path) -> str:
    """How much is left by what the run estimated, where it did."""
    path = Workspace(folder).paused
    if not path.exists():
        return ""
    noted = read_json(path)
    sessions = noted.get("sessions_to_go")
    more = f", {counted(sessions, 'session')} of {noted.get('budget')}" if sessions else ""
    return f", about {duration(noted.get('seconds_left', 0))} of work{more}"


def tell_end_of_log(log: Path, display: Display) -> None:
    """Show the last lines of the log."""
    if not log.exists():
        display.warn("Kaggle gave no log of it.")
        return
    lines = log.read_text(encoding="utf-8").splitlines()
    display.warn(f"The end of its log ({log}):")
    for line in lines[-LAST_LINES:]:
        display.tell(f"  | {line}")
