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
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


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


# YAML 1.1, which PyYAML reads, takes 1e-3 for text; YAML 1.2, which editors read, for a number.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


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


def check_new_name(name: str, configs: Path) -> None:
    """Check that `name` can be a file's and a folder's, and that no experiment of `configs` has it.

    Raises:
        ConfigRefusal: it cannot, or one has.
    """
    if not NAME.fullmatch(name):
        raise ConfigRefusal(
            f"{name!r} is no name for an experiment.",
            "letters, digits, - and _, starting with a letter or digit, 64 at most; without .yaml",
            "choose another name.",
        )
    taken = {there.lower(): path for there, path in config_names(configs / "experiments").items()}
    if path := taken.get(name.lower()):  # some file systems do not tell A from a
        raise ConfigRefusal(
            f"There is an experiment {path.stem} already: {path}.", "a name that is free", "choose another."
        )


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
    content = _without_name(read_yaml(path), path)
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
    """Load an experiment by name or path, laid over its `base` if it names one, with `overrides` on top.

    Raises:
        ConfigRefusal: unknown experiment, key or value; bases that lead back to the file.
    """
    stem, path = _named_file(configs / "experiments", "experiment", name)
    content = merged({"name": stem, **_over_its_base(path, configs, ())}, overrides or {})
    where = f"{path}, with what the plan or --set lays over it" if overrides else str(path)
    return _validated(Experiment, content, where)


def _over_its_base(path: Path, configs: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says, laid over what the experiment named as its `base` says, and so on down."""
    if path.resolve() in [one.resolve() for one in above]:
        chain = " -> ".join(one.stem for one in (*above, path))
        raise ConfigRefusal(
            f"The bases of {above[0]} go in a circle: {chain}.",
            "a base that stands on no other or on others that end",
            f"take the base out of one of them, such as {above[-1]}.",
        )
    content = _without_name(read_yaml(path), path)
    if "base" not in content:
        return content
    base = content.pop("base")
    if not isinstance(base, str):
        raise ConfigRefusal(f"{path}: base is {base!r}.", "the name of an experiment", "mend the file.")
    below = _named_file(configs / "experiments", "experiment", base)[1]
    return merged(_over_its_base(below, configs, (*above, path)), content)


def _without_name(content: dict[str, Any], path: Path) -> dict[str, Any]:
    if "name" in content:
        raise ConfigRefusal(
            f"{path} says name: {content['name']!r}, but its name is {path.stem}, after the file.",
            "no key 'name'",
            "take the line out, or rename the file.",
        )
    return content


def experiment_names(plan: Plan, also: Sequence[str] = ()) -> dict[str, tuple[str, int]]:
    """Names of the plan's experiments and of `also`, each with its file and seed.

    Further seeds are named ``<file>.seed<k>``.
    """
    return {
        (f"{Path(name).stem}.seed{seed}" if number else Path(name).stem): (name, seed)
        for name in [*plan.experiments, *also]
        for number, seed in enumerate(plan.seeds)
    }


def beyond_plan(plan: Plan, configs: Path, only: Sequence[str]) -> list[str]:
    """Those of `only` that are experiments of `configs`, but not of the plan: named, they join its run."""
    known = [base_name(name) for name in experiment_names(plan)]
    there = config_names(configs / "experiments")
    names = dict.fromkeys(base_name(name) for name in only)
    return [name for name in names if name not in known and name in there]


def plan_experiments(plan: Plan, configs: Path, only: Sequence[str] = ()) -> list[Experiment]:
    """The plan's experiments, one for each seed; `only` keeps those it names.

    An experiment named in `only` that the plan does not list is taken as if it did (`beyond_plan`).

    Raises:
        ConfigRefusal: a name in `only` is no experiment, or a file cannot be used.
    """
    names = experiment_names(plan, beyond_plan(plan, configs, only))
    valid = list(dict.fromkeys([*names, *(base_name(name) for name in names)]))
    if unknown := [name for name in only if name not in valid]:
        everything = list(dict.fromkeys([*valid, *config_names(configs / "experiments")]))
        raise ConfigRefusal(
            f"Plan {plan.name} has no experiment {some(unknown)}, and there is no such file under "
            f"{configs / 'experiments'}. {nearest(unknown[0], everything)}"
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
        return key.strip().split("."), yaml.load(value, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ConfigRefusal(
            f"--set {text!r} is no value: {error}", "a value as in YAML: 5, true, [a, b]"
        ) from error


def lay_setting(content: dict[str, Any], setting: str, valid: Sequence[str]) -> None:
    """Put a ``key=value`` whose first key is among `valid` into `content`.

    Raises:
        ConfigRefusal: another key (names the nearest), or no value.
    """
    keys, value = parse_setting(setting)
    if keys[0] not in valid:
        raise ConfigRefusal(
            f"--set: unknown key {keys[0]!r}. {nearest(keys[0], valid)}", f"one of {', '.join(valid)}"
        )
    _lay(content, keys, value)


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
    """`base` with `over` laid over it, mappings merged key by key, everything else replaced.

    Another network replaces the network block, since the parameters of one mean nothing to another.
    """
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if key == "network":  # `network: name` is short for {name: name}
            below, value = ({"name": one} if isinstance(one, str) else one for one in (below, value))
            if isinstance(below, dict) and isinstance(value, dict) and "name" in value:
                below = below if below.get("name") == value["name"] else None
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
