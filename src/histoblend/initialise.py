"""A new experiment file that names another as its base and holds only what differs from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from histoblend.config_experiment import Experiment
from histoblend.config_files import check_new_name, config_names, configs_folder, load_experiment, load_plan
from histoblend.config_settings import lay_setting
from histoblend.errors import ConfigRefusal, Refusal
from histoblend.models.registry import check_network
from histoblend.schema import write_schemas
from histoblend.workspace import write_text
from histoblend.yaml_files import read_yaml

HEADER = """\
# yaml-language-server: $schema=../schema/experiment.schema.json
# (your question): what changes against {source}, and what do you expect?
# histoblend run {plan} --experiments {name}
# Cost and score: not run yet.
"""


def initialise(name: str, source: str, settings: Sequence[str], environment: Mapping[str, str]) -> Path:
    """Write ``experiments/<name>.yaml`` with `source` as its base and `settings` (``key=value``) on top.

    Returns:
        Its path. The file has been loaded once.

    Raises:
        ConfigRefusal: a name that is no file name or is taken, an unknown source (names the nearest), or
            settings that an experiment does not take.
        MachineRefusal: the configs folder cannot be written.
    """
    configs = configs_folder(environment)
    check_new_name(name, configs)
    old = load_experiment(source, configs)
    _check_source(source, old.name, configs)
    over = _laid_out(settings)
    # Under its own name: its source may be among its teachers.
    new = load_experiment(source, configs, {**over, "name": name})
    recipe = {"recipe": over["recipe"]} if "recipe" in over else {}  # what it brings need not be spelled out
    below = load_experiment(source, configs, recipe)
    content = {"base": old.name, **recipe, **differences(below, new)}
    path = configs / "experiments" / f"{name}.yaml"
    write_text(path, _header(name, old.name, configs) + as_yaml(content))
    _prove(path, new, configs)
    if not (configs / "schema" / "experiment.schema.json").exists():
        write_schemas(configs / "schema")
    return path


def differences(old: Experiment, new: Experiment) -> dict[str, Any]:
    """What a file with the base `old` has to say for the settings of `new`, as plain data."""
    brief = new.model_dump(mode="json", exclude_defaults=True)
    return _differing(spelled_out(old), spelled_out(new), brief)


def _differing(
    old: Mapping[str, Any], new: Mapping[str, Any], brief: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Entries of `new` that differ; of a block that `old` has not, those in `brief`: its defaults go without saying."""
    result: dict[str, Any] = {}
    brief = brief or {}
    for key, value in new.items():
        below = old.get(key)
        if key in old and below == value:
            continue
        if key == "network":
            result[key] = _network_difference(old[key], value)
        elif isinstance(value, dict) and isinstance(below, dict):
            result[key] = _differing(below, value, brief.get(key))
        elif isinstance(value, dict):
            result[key] = brief.get(key, {})
        else:
            result[key] = value
    return result


def _network_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | str:
    """Parameters that differ; of another network its name and what differs from its own defaults."""
    if old["name"] == new["name"]:
        return _differing(old, new)
    changed = _differing(check_network(new["name"], {}).model_dump(mode="json"), new)
    return changed if len(changed) > 1 else str(new["name"])


def spelled_out(experiment: Experiment) -> dict[str, Any]:
    """The settings of an experiment as plain data, the network's defaults among them; without its name and recipe."""
    network = check_network(experiment.network.name, experiment.network.parameters).model_dump(mode="json")
    settings = experiment.model_dump(mode="json", exclude={"name", "recipe"})
    return settings | {"network": {"name": experiment.network.name, **network}}


def _check_source(source: str, name: str, configs: Path) -> None:
    there = config_names(configs / "experiments").get(name)
    if there is None or (source != name and there.resolve() != Path(source).resolve()):
        raise ConfigRefusal(
            f"{source} does not lie under {configs / 'experiments'}.",
            "a source that a base can name",
            "copy it there first.",
        )


def _laid_out(settings: Sequence[str]) -> dict[str, Any]:
    """`settings` as the mapping they stand for.

    Raises:
        ConfigRefusal: a key that is none of an experiment.
    """
    content: dict[str, Any] = {}
    for setting in settings:
        lay_setting(content, setting, [key for key in Experiment.model_fields if key != "name"])
    return content


def as_yaml(content: Mapping[str, Any]) -> str:
    """A line a key, mappings in braces as in the shipped files, lists of mappings a line an entry."""
    text = ""
    for key, value in content.items():
        braces = None if isinstance(value, dict | list) else False  # None: innermost collections only
        text += yaml.safe_dump(
            {key: value}, default_flow_style=braces, sort_keys=False, allow_unicode=True, width=110
        )
    return text


def _header(name: str, source: str, configs: Path) -> str:
    return HEADER.format(source=source, name=name, plan=_plan_of(source, configs))


def _plan_of(source: str, configs: Path) -> str:
    """A plan that lists `source` or what it stands on, else the first there is: its folds and data fit best."""
    plans = config_names(configs / "plans")
    files = config_names(configs / "experiments")
    wanted: Any = source
    while isinstance(wanted, str):
        for plan in plans:
            if wanted in load_plan(plan, configs).experiments:
                return plan
        wanted = read_yaml(files[wanted]).get("base") if wanted in files else None
    return next(iter(plans), "PLAN")


def _prove(path: Path, expected: Experiment, configs: Path) -> None:
    """Load the file and compare; a file that means something else is taken away again."""
    try:
        found = load_experiment(path.stem, configs)
        wrong = sorted(_differing(spelled_out(expected), spelled_out(found)))
    except Refusal:
        path.unlink()
        raise
    if wrong:
        path.unlink()
        raise ConfigRefusal(f"{path} would not give back {', '.join(wrong)}.", "values that YAML can hold")
