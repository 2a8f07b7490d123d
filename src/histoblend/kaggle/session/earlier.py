"""Which of the outputs among the inputs this session goes on from: the furthest along of the same run.

The same run means the same patches and labels, slides and folds (folds.json says them all) and, experiment by
experiment, the same configuration. Two runs are never mixed: one output is taken, or none.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from histoblend.competition.layouts import Competition
from histoblend.config import Plan
from histoblend.config_experiment import Experiment
from histoblend.data.split import SplitSettings, check_split
from histoblend.errors import ArtifactRefusal, counted, some
from histoblend.execution.records import ABOUT_DATA, Record, make_record, record_differences
from histoblend.kaggle.session.stored import StoredOutput, check_whole
from histoblend.reporting.progress import Display
from histoblend.training.state_about import saved_epochs
from histoblend.workspace import Workspace

ANEW = "`./run.sh kernel push --anew`, or in a notebook detach it"


@dataclass(frozen=True)
class Ground:
    """What this session works on: an earlier output has to agree with it."""

    plan: Plan
    experiments: Sequence[Experiment]
    competition: Competition
    data: str
    """Fingerprint of the decoded patches and labels."""


@dataclass(frozen=True)
class Earlier:
    """An earlier output of the same run, and how far it came.

    Attributes:
        changed: experiments of the plan whose settings are others today; they are not taken along.
        others: finished tasks of experiments that are not in the plan, on the same folds; they are taken along.
    """

    stored: StoredOutput
    finished: int
    epochs: int
    changed: tuple[str, ...] = ()
    others: int = 0

    @property
    def left_behind(self) -> int:
        """Finished tasks of changed experiments."""
        return sum(name in self.changed for name in self.stored.finished)

    @property
    def sentence(self) -> str:
        """How far it came, in words."""
        begun = f" and {self.epochs:,} epochs of unfinished ones" if self.epochs else ""
        beside = f"; of other experiments {counted(self.others, 'finished task')}" if self.others else ""
        return f"{counted(self.finished, 'finished task')}{begun}{beside}"

    def keeps(self, name: str) -> bool:
        """Whether a file goes along: not of changed experiments, nor what was computed from them."""
        if not self.changed:
            return True
        parts = PurePosixPath(name).parts
        if parts[0] == "experiments":
            return parts[1] not in self.changed
        return parts[0] in (
            "folds.csv",
            "folds.json",
            "patches.csv",
            "run.json",
            "submissions.csv",
            "archive",
        )


def choose_earlier(
    found: Sequence[StoredOutput], ground: Ground, display: Display, anew: bool = False
) -> Earlier | None:
    """The furthest along of those that are whole and of the same run; each other one is told, with the reason.

    Args:
        anew: finished tasks may be left behind.

    Raises:
        ArtifactRefusal: the only ones that might be are incomplete, or finished tasks would be left behind: to start
            anew would spend their hours twice.
    """
    fitting, damaged, others = [], [], []
    for stored in found:
        try:
            check_whole(stored)
        except ArtifactRefusal as refusal:
            damaged.append(refusal)
            continue
        try:
            fitting.append(look_at(stored, ground))
        except ArtifactRefusal as refusal:
            display.warn(f"Not gone on from {stored.place}: {refusal.found}")
            others.append(stored)
    if damaged and not fitting and not anew:
        raise ArtifactRefusal(
            damaged[0].found,
            damaged[0].expected,
            f"attach the output of an earlier version of the kernel, or start anew: {ANEW}.",
        )
    for problem in damaged:
        display.warn(f"Left aside: {problem.found}")
    ordered = sorted(
        fitting, key=lambda one: (-one.finished, -one.epochs, -one.others, str(one.stored.place))
    )
    for other in ordered[1:]:
        display.tell(f"Less far along, so left aside: {other.stored.place} ({other.sentence}).")
    chosen = ordered[0] if ordered else None
    _leave_behind(chosen, others, display, anew)
    return chosen


def _leave_behind(
    chosen: Earlier | None, others: Sequence[StoredOutput], display: Display, anew: bool
) -> None:
    """Say which finished tasks the next session will find no more, or refuse."""
    if chosen is not None:
        lost = {chosen.stored.place: chosen.left_behind} if chosen.left_behind else {}
        why = f"{some(chosen.changed)} had other settings"
    else:
        lost = {one.place: len(one.finished) for one in others if one.finished}
        why = "they are not of this run, as is said above"
    if not lost:
        return
    listed = some([f"{counted(count, 'finished task')} in {place}" for place, count in lost.items()])
    if not anew:
        raise ArtifactRefusal(
            f"This session would leave behind {listed}: {why}. The next one would find them no more.",
            "the plan, settings and data of the earlier sessions",
            f"push with those, or under another kernel.slug; or leave them behind: {ANEW}.",
        )
    display.warn(
        f"Left behind, as was asked for: {listed} ({why}). They stay in that output, and nowhere else."
    )


def look_at(stored: StoredOutput, ground: Ground) -> Earlier:
    """How far an output came.

    Raises:
        ArtifactRefusal: it is of another run, or holds nothing of this plan.
    """
    if lacking := [name for name in ("run.json", "folds.csv", "folds.json") if name not in stored.names]:
        raise ArtifactRefusal(f"it is no output of a run: {some(lacking)} missing.")
    _check_same_split(stored, ground)
    finished, epochs, changed = 0, 0, []
    for experiment in ground.experiments:
        if (config := f"experiments/{experiment.name}/config.yaml") not in stored.names:
            continue
        record = _record(stored, config)
        if record_differences(record, _fresh(experiment, record, ground.plan)):
            changed.append(experiment.name)
            continue
        for fold in range(ground.plan.folds.count):
            done, behind = _task(stored, f"experiments/{experiment.name}/fold_{fold}", record.fingerprint)
            finished, epochs = finished + done, epochs + behind
    planned = {one.name for one in ground.experiments}
    others = sum(name not in planned for name in stored.finished)
    if not finished and not epochs and not others:
        what = f"{some(changed)} had other settings" if changed else "no task of this plan was begun"
        raise ArtifactRefusal(f"there is nothing to go on with: {what}.")
    return Earlier(stored, finished, epochs, tuple(changed), others)


def _check_same_split(stored: StoredOutput, ground: Ground) -> None:
    """Compare data, slides and folds by what folds.json says they were made from."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        for path in (workspace.folds, workspace.folds_record):
            path.write_bytes(stored.read(path.name))
        try:
            settings = SplitSettings(ground.plan.folds, ground.plan.data)
            check_split(workspace, ground.competition, ground.data, settings)
        except (ArtifactRefusal, KeyError, TypeError) as problem:
            lines = problem.found.splitlines()[1:] if isinstance(problem, ArtifactRefusal) else []
            what = "; ".join(line.strip() for line in lines) or "its folds.json cannot be read"
            raise ArtifactRefusal(f"it is of another run ({what}).") from problem


def _record(stored: StoredOutput, name: str) -> Record:
    try:
        content = yaml.safe_load(stored.read(name))
        if not {"experiment", "precision", "fingerprint", "side"} <= set(content):
            raise ValueError("it lacks what a record of an experiment's start holds")
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ArtifactRefusal(f"{name} in it is damaged.") from error
    return Record(content)


def _fresh(experiment: Experiment, old: Record, plan: Plan) -> Record:
    """The experiment as it would start today on the same data; data and folds are compared apart."""
    precision = old.precision if experiment.precision == "auto" else experiment.precision
    data = {key: old.content.get(key) for key in ("data", "folds", *ABOUT_DATA)}
    teachers = old.content.get("teachers")
    return make_record(experiment, experiment.views_shown(plan.tta), precision, data, teachers)


def _task(stored: StoredOutput, folder: str, fingerprint: str) -> tuple[int, int]:
    """(1 if the task is finished, epochs behind it if it is only begun)."""
    if f"{folder}/done.json" in stored.names:
        try:
            done: dict[str, Any] = json.loads(stored.read(f"{folder}/done.json"))
        except ValueError:
            return 0, 0
        return int(done.get("fingerprint") == fingerprint), 0
    if (state := f"{folder}/state/last.npz") not in stored.names:
        return 0, 0
    with stored.open(state) as stream:
        saved = saved_epochs(stream)
    return 0, len(saved[0]) if saved else 0
