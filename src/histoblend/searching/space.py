"""A declared search space against the experiment it is searched for. Pure but for reading the base's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histoblend.config_experiment import Experiment
from histoblend.config_files import load_experiment
from histoblend.config_settings import lay, merged
from histoblend.errors import ConfigRefusal, some
from histoblend.execution.records import flattened
from histoblend.initialise import spelled_out
from histoblend.searching.sweep_config import UNSEARCHABLE, Parameter, Sweep

Values = dict[str, Any]
"""Setting by dotted key -> value."""

LENGTH = "training.epochs"


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` by dotted key as nested mappings; a network chosen whole comes before its parameters."""
    content: dict[str, Any] = {}
    for key in sorted(values, key=lambda one: one.count(".")):
        lay(content, key.split("."), values[key])
    return content


def trial_experiment(sweep: Sweep, values: Values, configs: Path, overrides: Mapping[str, Any]) -> Experiment:
    """The base with the plan's `overrides`, the sweep's trial settings and `values` on it.

    Raises:
        ConfigRefusal: an experiment does not take them together.
    """
    laid = merged(merged(overrides, sweep.trial_settings), nested(values))
    return load_experiment(sweep.base, configs, laid)


def check_space(sweep: Sweep, configs: Path, overrides: Mapping[str, Any]) -> None:
    """Check that the base takes each end and choice of every parameter, one at a time.

    Raises:
        ConfigRefusal: an unknown setting (names the nearest), a value it does not take, one that cannot be searched,
            one that the plan overrides, so that the winner would never be run as it was tried; a base or trials
            that learn from pseudo-labels.
    """
    refuse_students(load_experiment(sweep.base, configs, overrides))
    for key, parameter in sweep.parameters.items():
        for inner in settings_of(key, parameter):
            if barred := next((one for one in UNSEARCHABLE if f"{inner}.".startswith(f"{one}.")), None):
                raise ConfigRefusal(
                    f"Sweep {sweep.name}: {inner} is not searched: {UNSEARCHABLE[barred]}.", "another setting"
                )
        if clash := [one for one in flattened(overrides) if _overlap(one, key)]:
            raise ConfigRefusal(
                f"Sweep {sweep.name} searches {key}, and the plan or --set lays {clash[0]} over every experiment.",
                "settings that are either searched or laid over",
                "name another --plan, or take one of the two out.",
            )
        for value in parameter.ends:
            _check_value(sweep, {key: value}, configs, overrides)
    refuse_students(trial_experiment(sweep, {}, configs, overrides))
    searched = {inner for key, parameter in sweep.parameters.items() for inner in settings_of(key, parameter)}
    if LENGTH in searched and sweep.pruner != "none":
        raise ConfigRefusal(
            f"Sweep {sweep.name} searches {LENGTH} and stops trials by comparing them epoch by epoch.",
            "trials of equal length, where some are stopped early",
            "set pruner: none.",
        )


def settings_of(key: str, parameter: Parameter) -> list[str]:
    """Dotted keys that a parameter touches: its own, or those inside of the mappings it chooses from."""
    return list(dict.fromkeys(inner for value in parameter.ends for inner in flattened({key: value})))


def refuse_students(experiment: Experiment) -> None:
    """Refuse an experiment that learns from pseudo-labels.

    Raises:
        ConfigRefusal: its teachers were trained on what its trials would be compared on.
    """
    if experiment.teachers:
        raise ConfigRefusal(
            f"{experiment.name} learns from pseudo-labels of {some(experiment.teachers)}, trained on the very patches "
            "of the inner split that trials are compared on.",
            "trials that learn from labels alone",
            "search with training.pseudo_labels: null in a base of its own, then give the student what won.",
        )


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _check_value(sweep: Sweep, values: Values, configs: Path, overrides: Mapping[str, Any]) -> None:
    try:
        trial_experiment(sweep, values, configs, overrides)
    except ConfigRefusal as refusal:
        shown = ", ".join(f"{key} = {value}" for key, value in values.items())
        raise ConfigRefusal(
            f"Sweep {sweep.name}, {shown}: {refusal.found}", refusal.expected, refusal.remedy
        ) from None


def base_value(base: Experiment, key: str, parameter: Parameter) -> Any:
    """What `base` has for a setting, spelled as the space does where it lies in it; None where it has none."""
    found: Any = spelled_out(base)
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if key == "network" and not parameter.holds(found):
        return base.network.name
    return found


def base_values(sweep: Sweep, base: Experiment) -> Values | None:
    """The base's own values of what is searched, as the space spells them; None where one lies outside of it."""
    values = {key: base_value(base, key, one) for key, one in sweep.parameters.items()}
    if not all(one.holds(values[key]) for key, one in sweep.parameters.items()):
        return None
    return {key: one.spelled(values[key]) for key, one in sweep.parameters.items()}


def shown_value(value: Any) -> str:
    """A value for a table or a plot: four digits of a number, the rest as JSON or as it is."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
