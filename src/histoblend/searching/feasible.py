"""What stands in the way of a trial's values on this machine: told by the trial's record, so that the sweep goes on.

The search goes on from records: a trial that ended the run without one would be proposed again for ever.
"""

from __future__ import annotations

import dataclasses

from histoblend.config_experiment import Experiment
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.execution.preflight import PlannedExperiment, check_memory, plan_work
from histoblend.preparation import Prepared

# By name, since they are TensorFlow's, JAX's or PyTorch's: memory of the card, and shapes that do not fit.
OF_VALUES = {"ResourceExhaustedError", "InvalidArgumentError", "OutOfMemoryError", "MemoryError"}
EXHAUSTED = "RESOURCE_EXHAUSTED"  # how JAX's one error for everything begins then
LENGTH = 200  # of a note


def obstacle(
    experiment: Experiment, base: PlannedExperiment, prepared: Prepared, free: float | None
) -> str | None:
    """Why `experiment` cannot be trained here: its network cannot be built, or memory is too small; None if it can.

    Args:
        base: the sweep's base, whose network was built and measured already.
        free: bytes of main memory there were before the first trial.

    Raises:
        MachineRefusal: its starting weights are nowhere, which a file beside them mends.
    """
    try:
        planned = _planned(experiment, base, prepared)
    except ConfigRefusal as refusal:
        return refusal.found
    except ValueError as error:  # Keras's, of shapes
        return f"the network cannot be built: {_brief(error)}"
    try:
        check_memory([planned], prepared.device, free)
    except MachineRefusal as refusal:
        return refusal.found
    return None


def _planned(experiment: Experiment, base: PlannedExperiment, prepared: Prepared) -> PlannedExperiment:
    """`experiment` with its work; its network is built where it is not the base's."""
    unchanged = ("network", "input_size")
    if all(getattr(experiment, key) == getattr(base.experiment, key) for key in unchanged):
        work = dataclasses.replace(base.work, batch_size=experiment.training.batch_size)
        return dataclasses.replace(base, experiment=experiment, work=work)
    competition, plan = prepared.competition, prepared.plan
    patches = (len(competition.train), len(competition.test))
    frame = (plan.data.side, len(competition.classes))
    return plan_work([experiment], plan.tta, patches, plan.folds.count, frame)[0]


def fault_of_values(error: Exception) -> str | None:
    """What the backend says of values it cannot train with, in a line; None where `error` is something else."""
    named = {kind.__name__ for kind in type(error).__mro__} & OF_VALUES
    return _brief(error) if named or EXHAUSTED in str(error) else None


def _brief(error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first[:LENGTH]}"
