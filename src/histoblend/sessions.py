"""A plan in sessions: the budget of this one, what is left when it ends, and how many are to come."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from histoblend.data.pack_space import estimate_pack
from histoblend.errors import counted
from histoblend.execution.device import Device
from histoblend.execution.measured import look_ahead
from histoblend.execution.preflight import artifact_bytes
from histoblend.execution.session_budget import (
    Left,
    Outcome,
    SessionBudget,
    session_started,
    sessions_needed,
    tail_seconds,
)
from histoblend.preparation import Prepared
from histoblend.reporting.progress import Display, duration
from histoblend.workspace import Workspace, on_kaggle, read_json, write_json

T4 = Device("gpu", "T4", 2, "mixed_float16", threads=2, deterministic=False, workers=2, processes=2)
"""What Kaggle lends: two cards."""
SPARE = 1.2  # the smallest useful budget is for an epoch that may take somewhat longer than was thought


@dataclass(frozen=True)
class Session:
    """One run of a plan: when it began, and where."""

    prepared: Prepared
    environment: Mapping[str, str]
    began: float
    """``time.monotonic()``."""
    settings: tuple[str, ...] = ()
    """What ``--set`` said."""

    @property
    def tail(self) -> float:
        """Seconds reserved for what follows the tasks."""
        prepared, competition = self.prepared, self.prepared.competition
        names = {one.experiment.name for one in prepared.planned}
        names |= {folder.name for folder in prepared.workspace.experiments.glob("*") if folder.is_dir()}
        patches = (len(competition.train), len(competition.test))
        packed = artifact_bytes(prepared.planned, prepared.plan.folds.count, patches)
        handed_back = packed if on_kaggle(self.environment) else 0.0
        return tail_seconds(sum(patches), len(names), prepared.plan.report, handed_back)

    def budget(self) -> SessionBudget | None:
        """Until when tasks may run, from now on; None where the plan sets no budget."""
        seconds = self.prepared.plan.budget_seconds
        if seconds is None:
            return None
        ends = self.began + seconds - self.tail
        return SessionBudget(ends, ends - time.monotonic())


def open_session(
    prepared: Prepared, environment: Mapping[str, str], now: float, settings: tuple[str, ...] = ()
) -> Session:
    """The session that this run is, or is part of; `now` is when this run began.

    Raises:
        ConfigRefusal: the environment says of its beginning what is no time.
    """
    return Session(prepared, environment, session_started(environment, now), settings)


@dataclass(frozen=True)
class Paused:
    """A session that ends before its plan does.

    Attributes:
        sessions: how many are to come; None where no session of this budget brings anything on.
    """

    session: Session
    outcome: Outcome
    budget: SessionBudget
    sessions: int | None


def take_note(workspace: Workspace) -> list[dict[str, Any]]:
    """What earlier sessions noted as left; the note is taken away, since it is out of date from now on."""
    rows = read_json(workspace.paused)["left"] if workspace.paused.exists() else []
    workspace.paused.unlink(missing_ok=True)
    return list(rows)


def note_paused(
    session: Session, outcome: Outcome, budget: SessionBudget | None, earlier: Sequence[dict[str, Any]] = ()
) -> Paused | None:
    """Write down what is left of the plan, for whoever goes on; nothing where nothing is left.

    Args:
        earlier: what an earlier session noted as left; it stands for tasks that this run was not asked for.
    """
    prepared = session.prepared
    rows = [*(one.record() for one in outcome.left), *_not_asked_for(prepared, earlier)]
    if not rows:
        return None
    sessions = None
    if budget is not None and all(one.piece <= budget.session_seconds for one in outcome.left):
        seconds = [row["seconds"] for row in rows]
        restart = max((one.job.estimate.start for one in outcome.left), default=0.0)
        sessions = sessions_needed(seconds, budget.session_seconds, prepared.device.processes, restart)
    content = {
        "budget": prepared.plan.budget,
        "left": rows,
        "seconds_left": sum(row["seconds"] for row in rows),
        "sessions_to_go": sessions,
    }
    write_json(prepared.workspace.paused, content)
    return Paused(session, outcome, budget, sessions) if budget is not None and outcome.left else None


def _not_asked_for(prepared: Prepared, earlier: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of `earlier` that are of the plan, were not asked for in this run, and are not finished."""
    asked = {one.experiment.name for one in prepared.planned}
    names = asked | {one.name for one in prepared.others}
    return [
        row
        for row in earlier
        if row["experiment"] in names
        and (row["experiment"] not in asked or row["fold"] not in prepared.folds)
        and row["fold"] < prepared.plan.folds.count
        and not prepared.workspace.experiment(row["experiment"]).task(row["fold"]).done.exists()
    ]


def tell_paused(paused: Paused, display: Display) -> None:
    """Say what is left, how long it will take, and how to go on."""
    plan, outcome = paused.session.prepared.plan, paused.outcome
    done = counted(len(outcome.finished), "task")
    display.warn(
        f"PAUSED: what is left does not fit the budget of {plan.budget}. {done} done in this session; left:"
    )
    for name, group in groupby(outcome.left, _experiment):
        display.tell(f"  {_left_line(name, list(group))}")
    if paused.sessions is None:
        display.warn(_too_small(paused))
        return
    lanes = paused.session.prepared.device.processes
    side_by_side = f", {lanes} tasks at a time" if lanes > 1 else ""
    display.tell(
        f"  About {duration(outcome.seconds_left)} of work{side_by_side}: {counted(paused.sessions, 'session')} of "
        f"{plan.budget} to go, with about {duration(paused.budget.session_seconds)} for tasks in each."
    )
    display.tell(f"To go on: {_command(paused.session)}.")


def _too_small(paused: Paused) -> str:
    plan = paused.session.prepared.plan
    around = (plan.budget_seconds or 0.0) - paused.budget.session_seconds
    left = paused.outcome.left
    longest = max(left, key=lambda one: one.piece)
    none = all(one.piece > paused.budget.session_seconds for one in left)
    return (
        f"No session of {plan.budget} brings {'any of it' if none else longest.job.name} on: start, blend and report "
        f"take about {duration(around)}, and the smallest piece of work on {longest.job.name} "
        f"{duration(longest.piece)}. To do: a budget of {duration(around + SPARE * longest.piece + 1)} or more: "
        "--set budget=..."
    )


def _experiment(one: Left) -> str:
    return one.job.experiment.name


def _left_line(name: str, left: Sequence[Left]) -> str:
    folds = ", ".join(
        f"{one.job.fold} (epoch {one.epochs_done} of {one.job.estimate.epochs} done)"
        if one.epochs_done
        else str(one.job.fold)
        for one in left
    )
    return f"{name}: fold {folds}; about {duration(sum(one.seconds for one in left))}"


def _command(session: Session) -> str:
    if on_kaggle(session.environment):
        settings = "".join(f" --set {shlex.quote(one)}" for one in session.settings)
        push = f"./run.sh kernel push --plan {session.prepared.plan.name}{settings}"
        return f"{push}, which gives the next session this one's output"
    return "the same command once more"


def tell_projection(session: Session, display: Display) -> None:
    """The dry run: the sessions a plan with a budget is projected to take, here and on Kaggle's cards."""
    prepared = session.prepared
    seconds = prepared.plan.budget_seconds
    if seconds is None:
        return
    start = estimate_pack(prepared.competition, prepared.plan.data)[1]
    session_seconds = seconds - start - session.tail
    display.tell(_projection(prepared, prepared.device, session_seconds))
    if prepared.device.kind == "cpu":
        display.tell(_projection(prepared, T4, session_seconds))


def _projection(prepared: Prepared, device: Device, session_seconds: float) -> str:
    here = device is prepared.device
    ahead = look_ahead(prepared.planned, prepared.folds, device, prepared.workspace, measured=here)
    tasks = [ahead.clock.expected(task).total for task in ahead.left]
    where = f"On {device.name}"
    if device.processes > 1:
        where = f"On {device.processes} x {device.name}, a task on each"
    if device is T4:
        where += " (rates ASSUMED, as in execution/costs.py)"
    restart = max((one.work.start_seconds(device.kind) for one in prepared.planned), default=0.0)
    in_one_piece = [ahead.clock.expected(task).total for task in ahead.left if task.kind == "features"]
    sessions = None
    if max(in_one_piece, default=0.0) <= session_seconds:
        sessions = sessions_needed(tasks, session_seconds, device.processes, restart)
    hours = f"{sum(tasks) / 3600:.1f} hours of work"
    if sessions is None:
        return f"{where}: {hours}; sessions of {prepared.plan.budget} are too short for them."
    working = max(sum(tasks) / device.processes, max(tasks, default=0.0))
    around = (prepared.plan.budget_seconds or 0.0) - session_seconds
    return (
        f"{where}: {hours}, {counted(sessions, 'session')} of {prepared.plan.budget}, in all about "
        f"{duration(working + sessions * around)} with start, blend and report."
    )
