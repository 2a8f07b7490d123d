"""Plans and experiments read from YAML files: found, merged with what the command line sets, checked.

An unknown key or value stops the run and names the nearest valid one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from histoblend.config import Experiment, Plan, Settings
from histoblend.errors import ConfigRefusal, nearest, some

S = TypeVar("S", bound=Settings)


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; here they are an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                problem=f"key {twice[0]!r} stands twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; an empty file is an empty mapping.

    Raises:
        ConfigRefusal: the file is not YAML, holds a key twice, or is no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_UniqueKeyLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigRefusal(f"{path} cannot be read: {error}", "a YAML file", "mend it") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigRefusal(f"{path} holds a {type(content).__name__}", "keys with values", "mend it")
    return content


def configs_folder(environment: Mapping[str, str]) -> Path:
    """``HISTOBLEND_CONFIGS``, else ``configs/`` of the working directory, else that of the checkout.

    Raises:
        ConfigRefusal: none of them exists.
    """
    places = [Path.cwd() / "configs", Path(__file__).resolve().parents[2] / "configs"]
    if named := environment.get("HISTOBLEND_CONFIGS"):
        places = [Path(named)]
    for place in places:
        if (place / "plans").is_dir():
            return place
    raise ConfigRefusal(
        f"No configs folder at {' or '.join(str(place) for place in places)}.",
        "a folder with plans/ and experiments/",
        "run from the checkout, or set HISTOBLEND_CONFIGS.",
    )


def config_names(folder: Path) -> dict[str, Path]:
    """Names of the YAML files under `folder` (subfolders included), with their paths.

    Raises:
        ConfigRefusal: two files have one name.
    """
    names: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.yaml")):
        if path.stem in names:
            raise ConfigRefusal(
                f"{names[path.stem]} and {path} have one name.", "a name of its own for each", "rename one."
            )
        names[path.stem] = path
    return names


def _named_file(folder: Path, kind: str, name: str) -> tuple[str, Path]:
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ConfigRefusal(f"There is no file {name}.", f"a {kind}", "check the path")
        return Path(name).stem, Path(name)
    names = config_names(folder)
    if name not in names:
        raise ConfigRefusal(f"There is no {kind} named {name!r} under {folder}. {nearest(name, list(names))}")
    return name, names[name]


def load_plan(name: str, configs: Path, settings: Sequence[str] = ()) -> Plan:
    """Load a plan by name or path; `settings` are ``key=value`` of the plan or of every experiment.

    Raises:
        ConfigRefusal: unknown plan, key or value.
    """
    stem, path = _named_file(configs / "plans", "plan", name)
    content = read_yaml(path)
    for setting in settings:
        keys, value = parse_setting(setting)
        _lay(_owner(content, keys[0]), keys, value)
    return _validated(Plan, {"name": stem, **content}, str(path))


def _owner(content: dict[str, Any], key: str) -> dict[str, Any]:
    """The mapping a ``--set`` key belongs to: the plan's own, or the overrides of every experiment."""
    if key in Plan.model_fields:
        return content
    if key not in Experiment.model_fields:
        valid = [*Plan.model_fields, *Experiment.model_fields]
        raise ConfigRefusal(f"--set: unknown key {key!r}. {nearest(key, valid)}")
    overrides: dict[str, Any] = content.setdefault("overrides", {})
    return overrides


def load_experiment(name: str, configs: Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Load an experiment by name or path, with `overrides` laid over it.

    Raises:
        ConfigRefusal: unknown experiment, key or value.
    """
    stem, path = _named_file(configs / "experiments", "experiment", name)
    content = merged({"name": stem, **read_yaml(path)}, overrides or {})
    where = f"{path}, with what the plan or --set lays over it" if overrides else str(path)
    return _validated(Experiment, content, where)


def experiment_names(plan: Plan) -> dict[str, tuple[str, int]]:
    """Names of the plan's experiments, each with its file and seed; further seeds are named ``<file>.seed<k>``."""
    return {
        (f"{Path(name).stem}.seed{seed}" if number else Path(name).stem): (name, seed)
        for name in plan.experiments
        for number, seed in enumerate(plan.seeds)
    }


def plan_experiments(plan: Plan, configs: Path, only: Sequence[str] = ()) -> list[Experiment]:
    """The plan's experiments, one for each seed; `only` keeps those of these names or files.

    Raises:
        ConfigRefusal: a name in `only` is not in the plan, or a file cannot be used.
    """
    names = experiment_names(plan)
    valid = list(dict.fromkeys([*names, *(base_name(name) for name in names)]))
    if unknown := [name for name in only if name not in valid]:
        raise ConfigRefusal(
            f"Plan {plan.name} has no experiment {some(unknown)}. {nearest(unknown[0], valid)}"
        )
    experiments = []
    for name, (file, seed) in names.items():
        if not only or name in only or base_name(name) in only:
            experiment = load_experiment(file, configs, plan.overrides)
            update = {"seed": experiment.seed + seed, "name": name}
            experiments.append(experiment.model_copy(update=update))
    return experiments


def base_name(name: str) -> str:
    """The experiment's name without its seed suffix."""
    return re.sub(r"\.seed\d+$", "", name)


def parse_setting(text: str) -> tuple[list[str], Any]:
    """Split ``a.b=value`` into its keys and the value read as YAML.

    Raises:
        ConfigRefusal: there is no ``=``, no key, or a value that is not YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigRefusal(f"--set {text!r} has no value.", "--set key=value, such as training.epochs=5")
    try:
        return key.strip().split("."), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigRefusal(
            f"--set {text!r} is no value: {error}", "a value as in YAML: 5, true, [a, b]"
        ) from error


def _lay(target: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = target.setdefault(key, {})
        if isinstance(inner, str) and key == "network":  # `network: name` is short for {name: name}
            inner = target[key] = {"name": inner}
        if not isinstance(inner, dict):
            raise ConfigRefusal(f"--set {'.'.join(keys)}: {key} is {inner!r} and holds no keys.")
        target = inner
    target[keys[-1]] = value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid over it, mappings merged key by key, everything else replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if key == "network" and isinstance(below, str):
            below = {"name": below}
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _validated(model: type[S], content: dict[str, Any], where: str) -> S:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_explained(model, dict(problem)) for problem in error.errors()]
        raise ConfigRefusal(
            f"{where}: " + "\n".join(lines), "", "mend the file or the --set option."
        ) from error


def _explained(model: type[BaseModel], problem: dict[str, Any]) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        valid = list(_block_at(model, location[:-1]).model_fields)
        return f"unknown key {key!r}. {nearest(location[-1], valid)}"
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        valid = re.findall(r"'([^']+)'", problem["ctx"]["expected"])
        return f"{key}: unknown value {problem['input']!r}. {nearest(problem['input'], valid)}"
    return f"{key}: {problem['msg']} (found {problem['input']!r})"


def _block_at(model: type[BaseModel], location: Sequence[str]) -> type[BaseModel]:
    for key in location:
        field = model.model_fields.get(key)
        if field is None:
            break
        candidates = [field.annotation, *get_args(field.annotation)]
        blocks = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not blocks:
            break
        model = blocks[0]
    return model
