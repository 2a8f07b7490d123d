"""What is tried: a network of the registry under the common recipe, or an experiment with its own."""

from __future__ import annotations

from collections.abc import Sequence
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
        random_weights: whether `networks` that have published weights start without them.
    """

    networks: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    recipe: str = COMMON_RECIPE
    input_size: int | None = 96
    random_weights: bool = False


def chosen_trials(asked: Asked, configs: Path, side: int) -> list[Trial]:
    """The trials that were asked for; all networks of the registry where nothing was named.

    Raises:
        ConfigRefusal: an unknown name, a name twice, or a row that is no network.
        MachineRefusal: pretrained weights are not to be had; names all that are missing.
    """
    networks = asked.networks or (() if asked.experiments else trainable_networks())
    trials = [_of_network(name, asked, configs) for name in networks]
    trials += [_of_experiment(name, asked, configs) for name in asked.experiments]
    names = [trial.name for trial in trials]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigRefusal(
            f"{', '.join(twice)} would be tried twice.", "each name once", "take it out of one of the lists."
        )
    _require_weights(trials, side)
    return trials


def trainable_networks() -> tuple[str, ...]:
    """Rows of the registry that are networks."""
    return tuple(name for name, row in NETWORKS.items() if row.kind == "keras")


def _of_network(name: str, asked: Asked, configs: Path) -> Trial:
    _require_network(name)
    recipe = load_experiment(asked.recipe, configs, {"network": {"name": name}})
    _refuse_student(recipe)
    trial = _trial(recipe.model_copy(update={"name": name}), asked, random=asked.random_weights)
    if trial.weights != "imagenet":
        return trial
    optimizer = recipe.optimizer.model_copy(
        update={"learning_rate": recipe.optimizer.learning_rate * PRETRAINED_RATE}
    )
    return replace(trial, experiment=trial.experiment.model_copy(update={"optimizer": optimizer}))


def _of_experiment(name: str, asked: Asked, configs: Path) -> Trial:
    experiment = load_experiment(name, configs)
    _require_network(experiment.network.name)
    _refuse_student(experiment)
    return _trial(experiment, replace(asked, recipe=experiment.name), random=False)


def _require_network(name: str) -> None:
    if find_network(name).kind != "keras":
        raise ConfigRefusal(
            f"{name} is no network: it has no steps whose rate could be measured.",
            f"some of {', '.join(trainable_networks())}",
            "leave it out.",
        )


def _refuse_student(experiment: Experiment) -> None:
    if experiment.teachers:
        raise ConfigRefusal(
            f"{experiment.name} learns from pseudo-labels of test patches, and a trial has none.",
            "an experiment that learns from labels alone",
            "leave it out, or train it in a run.",
        )


def _trial(experiment: Experiment, asked: Asked, *, random: bool) -> Trial:
    """With its input size and without artifacts a trial has no use for; `random` in place of pretrained weights."""
    training = experiment.training.model_copy(update={"tensorboard": False, "save_model": False})
    size = experiment.input_size if asked.input_size is None else asked.input_size
    experiment = experiment.model_copy(update={"training": training, "input_size": size, "role": "member"})
    settings = check_network(experiment.network.name, experiment.network.parameters)
    wanted = getattr(settings, "weights", None)
    if wanted is None:
        return Trial(experiment, asked.recipe, FROM_SCRATCH)
    if wanted == "none" or not random:
        return Trial(experiment, asked.recipe, wanted)
    parameters = experiment.network.parameters | {"name": experiment.network.name, "weights": "none"}
    update = {"network": Network.model_validate(parameters)}
    return Trial(experiment.model_copy(update=update), asked.recipe, "none")


def _require_weights(trials: Sequence[Trial], side: int) -> None:
    try:
        starting_weights([trial.experiment for trial in trials], side)
    except MachineRefusal as refusal:
        raise MachineRefusal(
            refusal.found,
            refusal.expected,
            "attach a dataset that holds them, or leave these networks out; those of --networks may start at random: "
            "--random-weights.",
        ) from refusal
