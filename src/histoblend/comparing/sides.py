"""What is compared, found by name or by folder and read: out-of-fold predictions, settings, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from histoblend.artifacts.checks import check_fold_scores, check_scores, read_split
from histoblend.artifacts.forms import Done, RunNote, Weights, read_form, read_metrics
from histoblend.artifacts.opening import opened_output
from histoblend.comparing.costs import Cost, blend_cost, cost_of
from histoblend.comparing.settings import blend_settings, experiment_settings
from histoblend.errors import ArtifactRefusal, ConfigRefusal, nearest
from histoblend.external.members import is_external
from histoblend.inference.tables import read_out_of_fold, table_logits
from histoblend.predicting.known_models import finished_folds
from histoblend.training.task import check_whole
from histoblend.workspace import EnsembleFolder, ExperimentFolder, Workspace
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
        patches: in all folds, finished or not.
        settings: key -> value, of an experiment or of a blend.
    """

    name: str
    kind: str
    workspace: Workspace
    run: RunNote
    rows: pd.DataFrame
    logits: np.ndarray
    patches: int
    settings: dict[str, Any]
    cost: Cost

    @property
    def all_folds(self) -> bool:
        """Whether every fold is there."""
        return len(self.rows) == self.patches


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
    places = [_place(one, output, environment) for one in asked]
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


def _place(asked: str, output: Path | None, environment: Mapping[str, str]) -> _Place:
    """A folder under experiments/ or ensembles/ of any output folder, else a name in `output`."""
    folder = Path(asked).absolute()
    if folder.is_dir() and folder.parent.name in (EXPERIMENTS, ENSEMBLES):
        return _Place(asked, Workspace(folder.parents[1]), folder.parent.name, folder.name)
    inside = [part for part in (EXPERIMENTS, ENSEMBLES) if (folder / part).is_dir()]
    if inside:
        raise ConfigRefusal(
            f"{asked} is an output folder: it holds many experiments and blends.",
            "one of them",
            f"name it by its folder, such as {Path(asked) / inside[0] / 'NAME'}.",
        )
    if len(Path(asked).parts) > 1:
        raise ConfigRefusal(
            f"{asked} is {'no folder of an experiment or a blend' if folder.exists() else 'not there'}.",
            "a name of the ranking, or DIR/experiments/NAME or DIR/ensembles/NAME of any output folder DIR",
        )
    return _by_name(asked, opened_output(output, environment))


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
        _check_stored(blend, table, run)
        weights = read_form(blend.weights, Weights)
        kind, settings = "blend", blend_settings(weights)
        cost = blend_cost(workspace, weights)
    else:
        folder = workspace.experiment(place.name)
        table = _experiment_table(folder, folds)
        tasks = finished_folds(folder)
        check_fold_scores(folder.folder, [read_form(task.done, Done) for task in tasks], table)
        _check_stored(folder, table, run)
        content = read_yaml(folder.config)
        kind = "external" if is_external(folder) else _role(content)
        settings, cost = experiment_settings(content), cost_of(folder)
    rows = folds.set_index("id").loc[table["id"]].reset_index()
    return Side(shown, kind, workspace, run, rows, table_logits(table), len(folds), settings, cost)


def _check_stored(folder: ExperimentFolder | EnsembleFolder, table: pd.DataFrame, run: RunNote) -> None:
    """Hold the stored score, if it is of these folds, against the predictions, as the report does."""
    if not folder.metrics.exists():  # a run that has not come to its end
        return
    metrics = read_metrics(folder.metrics)
    if set(metrics.folds) == set(table["fold"]):
        check_scores(folder.metrics, metrics, table, run.about)


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
