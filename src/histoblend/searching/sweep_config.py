"""A sweep as it may stand in a YAML file of configs/sweeps: a base experiment and the settings that are searched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from histoblend.config_check import validated
from histoblend.config_experiment import Experiment
from histoblend.config_files import config_names, load_experiment, without_name
from histoblend.config_training import Settings
from histoblend.errors import ConfigRefusal, nearest
from histoblend.models.registry import check_network
from histoblend.yaml_files import read_yaml

STEP_TOLERANCE = 1e-8  # of a step, by which a value may lie beside the grid: Optuna's

# What a search would turn into nonsense, and why.
UNSEARCHABLE = {
    "name": "a name changes nothing",
    "role": "a role changes nothing",
    "seed": "the best of many seeds is luck",
    "seeds": "trials have one seed",
    "searched": "it changes nothing",
    "views": "trials are compared with one view",
    "training.inner_fraction": "trials are compared on one inner split",
    "training.save_model": "it changes nothing",
    "training.tensorboard": "it changes nothing",
    "training.pseudo_labels": "teachers were trained on the inner split that trials are compared on",
}


def same(one: Any, other: Any) -> bool:
    """Whether two settings say the same: 0 is 0.0, but true is not 1, however deep inside."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


class Parameter(Settings):
    """What one setting may be: between `low` and `high`, or one of `choices`."""

    low: int | float | None = None
    """Lowest value; whole numbers for both ends search whole numbers."""
    high: int | float | None = None
    """Highest value."""
    log: bool = False
    """Search ratios rather than differences, as befits learning rates."""
    step: Annotated[float, Field(gt=0)] | None = None
    """Distance between two values that are tried; null for any."""
    choices: list[Any] | None = None
    """Values of any kind, lists and mappings among them."""

    @model_validator(mode="after")
    def _one_way(self) -> Parameter:
        if self.choices is not None:
            if self.log or any(one is not None for one in (self.low, self.high, self.step)):
                raise ValueError("choices stand alone, or low and high without choices")
            places = [self.place(one) for one in self.choices]
            if len(places) < 2 or places != list(range(len(places))):
                raise ValueError("choices needs two values or more, each once")
        elif self.low is None or self.high is None:
            raise ValueError("needs low and high, or choices")
        elif self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        elif self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0 and no step")
        elif self.whole and self.step is not None and self.step != int(self.step):
            raise ValueError(f"step {self.step:g} between whole numbers is no whole number")
        return self

    @property
    def whole(self) -> bool:
        """Whether whole numbers are searched."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> list[Any]:
        """The values that show whether a setting takes what is searched: both ends, or all choices."""
        return [self.low, self.high] if self.choices is None else list(self.choices)

    def holds(self, value: Any) -> bool:
        """Whether `value` is one that may be tried."""
        if self.choices is not None:
            return any(same(one, value) for one in self.choices)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or self.low is None
            or self.high is None
        ):
            return False
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < STEP_TOLERANCE

    def place(self, value: Any) -> int:
        """Which of the choices `value` is, from 0."""
        return next(place for place, one in enumerate(self.choices or ()) if same(one, value))

    def spelled(self, value: Any) -> Any:
        """A value that it holds as the space spells it: a base's 0.0 as the choice 0, its 3.0 as the whole number 3."""
        if self.choices is not None:
            return self.choices[self.place(value)]
        return int(value) if self.whole else float(value)

    def __str__(self) -> str:
        """In words, for people."""
        if self.choices is not None:
            return "one of " + ", ".join(
                one if isinstance(one, str) else json.dumps(one) for one in self.choices
            )
        kind = ", whole numbers" if self.whole else ""
        return f"{self.low:g} to {self.high:g}{kind}{', log' if self.log else ''}" + (
            f", step {self.step:g}" if self.step else ""
        )


class Sweep(Settings):
    """A search for better settings of one experiment."""

    name: str
    """Name of the sweep: the file's stem."""
    base: str
    """Name of the experiment it starts from."""
    parameters: Annotated[dict[str, Parameter], Field(min_length=1)]
    """What is searched: settings of an experiment by dotted key, such as optimizer.learning_rate."""
    trials: Annotated[int, Field(ge=1)] = 20
    """Trainings on fold 0, the unchanged base and those that were stopped or failed among them."""
    trial_settings: dict[str, Any] = Field(default_factory=dict)
    """Settings laid over every trial but not over the winner, such as {training: {epochs: 8}}: cheaper trials."""
    pruner: Literal["median", "none"] = "median"
    """Stop a trial once it is below the median that the finished ones had at its epoch, from a third of its length on;
    or never."""
    random_trials: Annotated[int, Field(ge=1)] = 5
    """Trials before the search learns from what it has seen, and before any is stopped."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the search; the trials keep the experiment's seed."""


DEFAULT_DECAYS = (0.0, 0.01, 0.03, 0.1)
DEFAULT_DROPOUTS = (0.0, 0.2, 0.4)


def load_sweep(name: str, configs: Path) -> Sweep:
    """A sweep by name or path; of an experiment without a sweep file, the default search.

    Raises:
        ConfigRefusal: neither exists (names the nearest), or the file cannot be used.
    """
    sweeps, experiments = (config_names(configs / folder) for folder in ("sweeps", "experiments"))
    path = Path(name) if name.endswith((".yaml", ".yml")) else sweeps.get(name)
    if path is None:
        if name in experiments:
            return default_sweep(load_experiment(name, configs))
        raise ConfigRefusal(
            f"There is no sweep and no experiment named {name!r} under {configs}. "
            f"{nearest(name, list(dict.fromkeys([*sweeps, *experiments])))}"
        )
    if not path.is_file():
        raise ConfigRefusal(f"There is no file {name}.", "a sweep or an experiment", "check the path")
    content = read_yaml(path)
    if not content.keys() - {"base", *Experiment.model_fields}:
        sweep = default_sweep(load_experiment(name, configs))
    else:
        sweep = validated(Sweep, {"name": path.stem, **without_name(content, path)}, str(path))
    if sweep.base not in experiments:
        raise ConfigRefusal(
            f"{path}: there is no experiment {sweep.base!r} under {configs / 'experiments'}. "
            f"{nearest(sweep.base, list(experiments))}",
            "a base that the winner's file can name",
        )
    return sweep


def default_sweep(experiment: Experiment) -> Sweep:
    """The search for an experiment nobody wrote a sweep for: learning rate, weight decay, dropout."""
    rate, decay = experiment.optimizer.learning_rate, experiment.optimizer.weight_decay
    parameters = {
        "optimizer.learning_rate": Parameter(low=rate / 10, high=rate * 10, log=True),
        "optimizer.weight_decay": Parameter(choices=sorted({*DEFAULT_DECAYS, decay})),
    }
    network = check_network(experiment.network.name, experiment.network.parameters).model_dump()
    if "dropout" in network:
        parameters["network.dropout"] = Parameter(choices=sorted({*DEFAULT_DROPOUTS, network["dropout"]}))
    return Sweep(name=experiment.name, base=experiment.name, parameters=parameters)
