"""What an experiment cost, as far as its finished folds have noted it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from histoblend.artifacts.forms import Done, read_form
from histoblend.models.weights_file import file_shapes
from histoblend.predicting.known_models import finished_folds
from histoblend.workspace import ExperimentFolder


@dataclass(frozen=True)
class Cost:
    """None where nothing was noted.

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
