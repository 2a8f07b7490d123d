"""What is compared, found by name or by folder and read: out-of-fold predictions, settings, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from histoblend.artifacts.checks import read_split
from histoblend.artifacts.forms import RunNote, read_form
from histoblend.comparing.costs import Cost, cost_of
from histoblend.comparing.settings import blend_settings, experiment_settings
from histoblend.errors import ArtifactRefusal, ConfigRefusal, nearest
from histoblend.external.members import is_external
from histoblend.inference.tables import read_out_of_fold, table_logits
from histoblend.leaderboard import opened_output
from histoblend.predicting.known_models import finished_folds
from histoblend.training.task import check_whole
from histoblend.workspace import ExperimentFolder, Workspace, read_json
from histoblend.yaml_files import read_yaml

EXPERIMENTS, ENSEMBLES = "experiments", "ensembles"


@dataclass(frozen=True)
class Side:
    """One experiment or blend.

    Attributes:
        name: in folders and in the ranking; `kind`: ``experiment``, ``yardstick``, ``external`` or ``blend``.
        run: what the last run in its output folder worked on.
        rows: id, label, slide, fold of the patches it has predictions for, sorted as folds.csv.
        logits: float64 (rows, outputs).
        all_folds: whether every fold is there.
        settings: key -> value, of an experiment or of a blend.
    """

    name: str
    kind: str
    workspace: Workspace
    run: RunNote
    rows: pd.DataFrame
    logits: np.ndarray
    all_folds: bool
    settings: dict[str, Any]
    cost: Cost


@dataclass(frozen=True)
class _Place:
    """Where a side lies: its output folder and its part of it."""

    asked: str
    workspace: Workspace
    part: str
    name: str

    @property
    def folder(self) -> Path:
        return self.workspace.folder / self.part / self.name


def read_sides(asked: Sequence[str], output: Path | None, environment: Mapping[str, str]) -> list[Side]:
    """Everything that was asked for, in that order.

    Args:
        asked: names in the output folder `output` (None: the default one), or paths of folders of experiments or
            blends, of any output folder.

    Raises:
        ConfigRefusal: fewer than two, one twice, or an unknown name.
        ArtifactRefusal: an artifact is missing or damaged, or they are of different data.
    """
    if len(asked) < 2:
        raise ConfigRefusal(
            f"Only {', '.join(asked) or 'nothing'} to compare.", "two names or more", "histoblend compare A B"
        )
    places = [_by_path(one) or _by_name(one, opened_output(output, environment)) for one in asked]
    for number, place in enumerate(places):
        if place.folder.resolve() in [other.folder.resolve() for other in places[:number]]:
            raise ConfigRefusal(
                f"{place.asked} stands there twice.", "different experiments or blends", "leave one out."
            )
    sides = [_side(place, name) for place, name in zip(places, _shown(places), strict=True)]
    _check_same_data(sides)
    return sides


def _shown(places: Sequence[_Place]) -> list[str]:
    """Their names; where two output folders have one of the same name, with the folder's before it."""
    names = [place.name for place in places]
    longer = [f"{place.workspace.folder.name}/{place.name}" for place in places]
    if len(set(longer)) < len(places):
        longer = [str(place.folder) for place in places]
    return [longer[at] if names.count(name) > 1 else name for at, name in enumerate(names)]


def _by_path(asked: str) -> _Place | None:
    """A folder under experiments/ or ensembles/ of any output folder; None where it is none."""
    folder = Path(asked).absolute()
    if not folder.is_dir() or folder.parent.name not in (EXPERIMENTS, ENSEMBLES):
        return None
    return _Place(asked, Workspace(folder.parents[1]), folder.parent.name, folder.name)


def _by_name(asked: str, workspace: Workspace) -> _Place:
    known = {
        child.name: part
        for part in (EXPERIMENTS, ENSEMBLES)
        for child in sorted((workspace.folder / part).glob("*"))
        if child.is_dir()
    }
    if asked not in known:
        there = nearest(asked, list(known)) if known else "Was it another --output?"
        raise ConfigRefusal(
            f"There is no experiment, blend or folder {asked!r} in {workspace.folder}. {there}",
            "a name of the ranking, or the path of a folder under experiments/ or ensembles/",
        )
    return _Place(asked, workspace, known[asked], asked)


def _side(place: _Place, shown: str) -> Side:
    workspace = place.workspace
    run = _run_of(workspace)
    folds = read_split(workspace, run)
    if place.part == ENSEMBLES:
        blend = workspace.ensemble(place.name)
        table = read_out_of_fold(blend.out_of_fold, folds)
        kind, settings = "blend", blend_settings(read_json(blend.weights))
        cost = Cost()
    else:
        folder = workspace.experiment(place.name)
        table = _experiment_table(folder, folds)
        content = read_yaml(folder.config)
        kind = "external" if is_external(folder) else _role(content)
        settings, cost = experiment_settings(content), cost_of(folder)
    rows = folds.set_index("id").loc[table["id"]].reset_index()
    return Side(
        shown, kind, workspace, run, rows, table_logits(table), len(rows) == len(folds), settings, cost
    )


def _run_of(workspace: Workspace) -> RunNote:
    if not workspace.run_record.exists() or not workspace.folds.exists():
        raise ArtifactRefusal(
            f"{workspace.folder} holds no run: run.json or folds.csv is not there.",
            "the output folder of a run that has made its folds",
            "name it with --output.",
        )
    return read_form(workspace.run_record, RunNote)


def _role(content: dict[str, Any]) -> str:
    return "yardstick" if content.get("experiment", {}).get("role") == "yardstick" else "experiment"


def _experiment_table(folder: ExperimentFolder, folds: pd.DataFrame) -> pd.DataFrame:
    """Out-of-fold predictions of all folds, or of those that are finished; rows in the order of `folds`."""
    tasks = finished_folds(folder)
    numbers = [int(task.folder.name.removeprefix("fold_")) for task in tasks]
    if folder.out_of_fold.exists() and (not tasks or set(numbers) == set(folds["fold"])):
        return read_out_of_fold(folder.out_of_fold, folds)
    if not tasks:
        raise ArtifactRefusal(
            f"{folder.folder.name} has no out-of-fold predictions: nothing in {folder.folder} can be compared.",
            "a finished fold, or predictions added with --oof",
            "train it, or leave it out.",
        )
    parts = []
    for number, task in zip(numbers, tasks, strict=True):
        check_whole(task)
        parts.append(read_out_of_fold(task.out_of_fold, folds[folds["fold"] == number]))
    joined = pd.concat(parts).set_index("id")
    return joined.loc[folds["id"][folds["fold"].isin(numbers)]].reset_index()


def _check_same_data(sides: Sequence[Side]) -> None:
    first = sides[0]
    for side in sides[1:]:
        if side.run.data.fingerprint != first.run.data.fingerprint:
            raise ArtifactRefusal(
                f"{first.name} is of the data {first.run.data.name} ({first.run.data.fingerprint}), {side.name} of "
                f"{side.run.data.name} ({side.run.data.fingerprint}).",
                "predictions of the same patches",
                "compare what was trained on one data set.",
            )
