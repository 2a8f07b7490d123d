"""What each trial of a sweep gave: one small file a trial, written when it has ended.

These files are all a sweep remembers: the search is rebuilt from them, so that a sweep that was killed goes on as if it
had not been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from histoblend.errors import ArtifactRefusal
from histoblend.workspace import Workspace, read_json, write_json

State = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One training on fold 0's training folds less their inner split, and how it scored there."""

    number: int
    """From 1 on."""
    values: dict[str, Any]
    """What was tried, by dotted key."""
    state: State
    objective: float | None = None
    """Inner-split AUC of the weights that would be kept; None unless it finished."""
    aucs: list[float] = field(default_factory=list)
    """Inner-split AUC of each epoch."""
    seconds: float = 0.0
    note: str = ""


def sweep_folder(workspace: Workspace, name: str) -> Path:
    """Where the sweep of that name keeps everything."""
    return workspace.folder / "sweeps" / name


def trial_file(folder: Path, number: int) -> Path:
    """Where the record of a trial lies."""
    return folder / "trials" / f"{number:04d}.json"


def write_trial(folder: Path, trial: Trial) -> None:
    """Keep an ended trial."""
    write_json(trial_file(folder, trial.number), asdict(trial))


def read_trials(folder: Path) -> list[Trial]:
    """The trials that have ended, in order.

    Raises:
        ArtifactRefusal: a record is damaged or missing.
    """
    trials = []
    for number in range(1, len(list((folder / "trials").glob("[0-9]*.json"))) + 1):
        path = trial_file(folder, number)
        try:
            trials.append(Trial(**read_json(path)))
        except (TypeError, FileNotFoundError) as error:
            raise ArtifactRefusal(
                f"{path} is missing or damaged: {error}.",
                "a record of every trial up to the last",
                f"move {folder} away and start the sweep again.",
            ) from error
    return trials


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the highest objective, the first of equals; None if none has finished."""
    finished = [one for one in trials if one.objective is not None]
    return max(finished, key=lambda one: (one.objective, -one.number)) if finished else None
