"""What is tried: a network of the registry under the common recipe, or an experiment with its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from histoblend.config_experiment import Experiment, Network
from histoblend.config_files import load_experiment
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.execution.preflight import starting_weights
from histoblend.models.registry import NETWORKS, check_network, find_network

PRETRAINED_RATE = 0.1  # of the recipe's learning rate: weights that know something are not thrown about
COMMON_RECIPE = "mini_resnet"
FROM_SCRATCH = "from scratch"


@dataclass(frozen=True)
class Trial:
    """One trial before it starts.

    Attributes:
        experiment: network, recipe and input size; its length is set later, from the measured rate.
        recipe: the experiment whose optimizer, schedule and augmentation these are.
        weights: ``imagenet`` or ``none`` (random) for a network that can start from published weights,
            ``from scratch`` for others.
    """

    experiment: Experiment
    recipe: str
    weights: str

    @property
    def name(self) -> str:
        """Of the trial: the network's, or the experiment's."""
        return self.experiment.name


@dataclass(frozen=True)
class Asked:
    """What the user named.

    Attributes:
        networks: rows of the registry, tried under `recipe`.
        experiments: files of configs/experiments, tried with recipes of their own.
        input_size: at which every network sees the patch; None for each experiment's own.
    """

    networks: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    recipe: str = COMMON_RECIPE
    input_size: int | None = 96


def chosen_trials(asked: Asked, configs: Path, side: int) -> list[Trial]:
    """The trials that were asked for; all networks of the registry where nothing was named.

    Raises:
        ConfigRefusal: an unknown name, a name twice, or a row that is no network.
    """
    networks = asked.networks or (() if asked.experiments else trainable_networks())
    trials = [_of_network(name, asked, configs, side) for name in networks]
    trials += [_of_experiment(name, asked, configs, side) for name in asked.experiments]
    names = [trial.name for trial in trials]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigRefusal(
            f"{', '.join(twice)} would be tried twice.", "each name once", "take it out of one of the lists."
        )
    return trials


def trainable_networks() -> tuple[str, ...]:
    """Rows of the registry that are networks."""
    return tuple(name for name, row in NETWORKS.items() if row.kind == "keras")


def _of_network(name: str, asked: Asked, configs: Path, side: int) -> Trial:
    _require_network(name)
    recipe = load_experiment(asked.recipe, configs, {"network": {"name": name}})
    trial = _trial(recipe.model_copy(update={"name": name}), asked, side)
    if trial.weights != "imagenet":
        return trial
    optimizer = recipe.optimizer.model_copy(
        update={"learning_rate": recipe.optimizer.learning_rate * PRETRAINED_RATE}
    )
    return replace(trial, experiment=trial.experiment.model_copy(update={"optimizer": optimizer}))


def _of_experiment(name: str, asked: Asked, configs: Path, side: int) -> Trial:
    experiment = load_experiment(name, configs)
    _require_network(experiment.network.name)
    return _trial(experiment, replace(asked, recipe=experiment.name), side)


def _require_network(name: str) -> None:
    if find_network(name).kind != "keras":
        raise ConfigRefusal(
            f"{name} is no network: it has no steps whose rate could be measured.",
            f"some of {', '.join(trainable_networks())}",
            "leave it out.",
        )


def _trial(experiment: Experiment, asked: Asked, side: int) -> Trial:
    """With its input size and without artifacts a trial has no use for; random where weights are not to be had."""
    training = experiment.training.model_copy(update={"tensorboard": False, "save_model": False})
    size = experiment.input_size if asked.input_size is None else asked.input_size
    experiment = experiment.model_copy(update={"training": training, "input_size": size, "role": "member"})
    settings = check_network(experiment.network.name, experiment.network.parameters)
    wanted = getattr(settings, "weights", None)
    if wanted is None:
        return Trial(experiment, asked.recipe, FROM_SCRATCH)
    if wanted != "none" and _to_be_had(experiment, side):
        return Trial(experiment, asked.recipe, wanted)
    parameters = experiment.network.parameters | {"name": experiment.network.name, "weights": "none"}
    update = {"network": Network.model_validate(parameters)}
    return Trial(experiment.model_copy(update=update), asked.recipe, "none")


def _to_be_had(experiment: Experiment, side: int) -> bool:
    try:
        starting_weights([experiment], side)
    except MachineRefusal:
        return False
    return True
