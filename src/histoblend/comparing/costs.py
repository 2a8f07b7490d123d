"""What an experiment cost, as far as its finished folds have noted it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from histoblend.artifacts.forms import Done, Weights, read_form
from histoblend.models.weights_file import file_shapes
from histoblend.predicting.known_models import finished_folds
from histoblend.workspace import ExperimentFolder, Workspace


@dataclass(frozen=True)
class Cost:
    """None where nothing was noted; of a blend the sums over its members, without a speed.

    Attributes:
        folds: finished; `minutes`: of training and prediction of these together.
        images_per_second: in training, mean over folds.
        stored_numbers: in the weights of one fold's model: parameters and normalisation statistics.
    """

    folds: int | None = None
    minutes: float | None = None
    images_per_second: float | None = None
    stored_numbers: int | None = None


def cost_of(folder: ExperimentFolder) -> Cost:
    """The cost of the finished folds of an experiment; of predictions that were added nothing is known."""
    tasks = finished_folds(folder)
    if not tasks:
        return Cost()
    done = [read_form(task.done, Done) for task in tasks]
    seconds = sum(one.train_seconds + one.prediction_seconds for one in done)
    kept = [task.weights for task in tasks if task.weights.exists()]
    shapes = file_shapes(kept[0], folder.folder.name) if kept else None
    return Cost(
        len(tasks),
        seconds / 60,
        float(np.mean([one.images_per_second for one in done])),
        None if shapes is None else sum(math.prod(shape) for shape in shapes),
    )


def blend_cost(workspace: Workspace, weights: Weights) -> Cost:
    """What the members of a blend that have a weight cost together, their seeds each; unknown where one of them is."""
    used = [name for name, weight in weights.weights.items() if weight]
    names = [seed for name in used for seed in weights.members.get(name, [name])]
    costs = [cost_of(workspace.experiment(name)) for name in names]
    folds = [one.folds for one in costs if one.folds is not None]
    minutes = [one.minutes for one in costs if one.minutes is not None]
    numbers = [one.stored_numbers for one in costs if one.stored_numbers is not None]
    if len(folds) < len(names):
        return Cost()
    return Cost(sum(folds), sum(minutes), None, sum(numbers) if len(numbers) == len(names) else None)
