"""One experiment on the data and folds of a run, ready to be trained on some of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from histoblend.config_experiment import Experiment
from histoblend.data.pack import Pack
from histoblend.data.split import Split
from histoblend.errors import ConfigRefusal
from histoblend.execution.preflight import PlannedExperiment
from histoblend.execution.records import Record
from histoblend.models.registry import find_network
from histoblend.pipeline import fresh_record, open_pack, open_split, task_inputs
from histoblend.preparation import Prepared, Request
from histoblend.reporting.progress import Display
from histoblend.training.task import TaskInputs
from histoblend.workspace import locked


@dataclass(frozen=True)
class Opened:
    """Decoded patches and folds of a prepared run."""

    prepared: Prepared
    packed: Pack
    split: Split
    inputs: TaskInputs

    def record(self, experiment: Experiment) -> Record:
        """The record `experiment` would start with on this data and these folds."""
        return fresh_record(experiment, self.prepared, self.packed, self.split)


@contextmanager
def opened(prepared: Prepared, display: Display) -> Iterator[Opened]:
    """Hold the output folder, pack and split as a run does; the feed's processes end with the block.

    Raises:
        MachineRefusal: another run holds the output folder.
    """
    with locked(prepared.workspace):
        packed = open_pack(prepared, display)
        split = open_split(prepared, packed, display)
        inputs = task_inputs(prepared, packed, split, display)
        try:
            yield Opened(prepared, packed, split, inputs)
        finally:
            inputs.workers.close()


def refuse_estimators(experiment: Experiment, what: str) -> None:
    """Refuse an experiment without a network.

    Raises:
        ConfigRefusal: it is an estimator on image statistics, which takes no steps and has no epochs.
    """
    if find_network(experiment.network.name).kind == "features":
        raise ConfigRefusal(
            f"{experiment.name} is {experiment.network.name}, an estimator on image statistics: {what}.",
            "an experiment whose network is trained in steps",
            "name another experiment.",
        )


def run_of(name: str, request: Request, fold: int) -> Request:
    """The run of a plan whose one experiment is `name`, by name or path, on one fold."""
    settings = (*request.settings, f"experiments={json.dumps([name])}")
    return dataclasses.replace(request, experiments=(), folds=(fold,), settings=settings)


def planned_as(prepared: Prepared, name: str) -> PlannedExperiment:
    """The experiment of that name as the run has it, with the plan's overrides and ``--set`` on it."""
    return next(one for one in prepared.planned if one.experiment.name == name)
