"""Plans and experiments read from YAML files: found, merged with what the command line sets, checked.

An unknown key or value stops the run and names the nearest valid one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from histoblend.config import Plan
from histoblend.config_check import validated
from histoblend.config_experiment import Experiment
from histoblend.config_recipe import Recipe
from histoblend.config_settings import lay, merged, parse_setting
from histoblend.errors import ConfigRefusal, nearest, some
from histoblend.yaml_files import read_yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


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
    content = without_name(read_yaml(path), path)
    for setting in settings:
        keys, value = parse_setting(setting)
        lay(_owner(content, keys[0]), keys, value)
    where = f"{path}, with what --set lays over it" if settings else str(path)
    return validated(Plan, {"name": stem, **content}, where)


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
    """Load an experiment by name or path: its recipe at the bottom, then its bases, itself, and `overrides` on top.

    Of several recipes named on the way the topmost is taken; the others are not looked at.

    Raises:
        ConfigRefusal: unknown experiment, recipe, key or value; bases that lead back to the file.
    """
    stem, path = _named_file(configs / "experiments", "experiment", name)
    content = merged({"name": stem, **_over_its_base(path, configs, ())}, overrides or {})
    where = f"{path}, with what the plan or --set lays over it" if overrides else str(path)
    if content.get("recipe") is not None:
        content = merged(recipe_content(content["recipe"], configs, where), content)
    return validated(Experiment, content, where)


def recipe_content(recipe: Any, configs: Path, where: str) -> dict[str, Any]:
    """What a recipe says, or several by name, the later laid over the earlier; `where` names who asks for it.

    Raises:
        ConfigRefusal: there is none of that name, or it has an unknown key or value.
    """
    content: dict[str, Any] = {}
    for name in recipe if isinstance(recipe, list | tuple) else [recipe]:
        content = merged(content, _one_recipe(name, configs, where))
    return content


def _one_recipe(name: Any, configs: Path, where: str) -> dict[str, Any]:
    """What the recipe of that name says, checked by itself."""
    names = config_names(configs / "recipes")
    if not isinstance(name, str) or name not in names:
        raise ConfigRefusal(
            f"{where}: there is no recipe {name!r}. {nearest(str(name), list(names))}",
            f"one of {', '.join(names)}" if names else f"a file under {configs / 'recipes'}",
            "correct the key recipe, or leave it out.",
        )
    content = without_name(read_yaml(names[name]), names[name])
    validated(Recipe, {"name": name, **content}, str(names[name]))
    return content


def _over_its_base(path: Path, configs: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says, laid over what the experiment named as its `base` says, and so on down."""
    if path.resolve() in [one.resolve() for one in above]:
        chain = " -> ".join(one.stem for one in (*above, path))
        raise ConfigRefusal(
            f"The bases of {above[0]} go in a circle: {chain}.",
            "a base that stands on no other or on others that end",
            f"take the base out of one of them, such as {above[-1]}.",
        )
    content = without_name(read_yaml(path), path)
    if "base" not in content:
        return content
    base = content.pop("base")
    if not isinstance(base, str):
        raise ConfigRefusal(f"{path}: base is {base!r}.", "the name of an experiment", "mend the file.")
    below = _named_file(configs / "experiments", "experiment", base)[1]
    return merged(_over_its_base(below, configs, (*above, path)), content)


def without_name(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """`content` of a file that is named by its stem and by nothing else.

    Raises:
        ConfigRefusal: it says a name.
    """
    if "name" in content:
        raise ConfigRefusal(
            f"{path} says name: {content['name']!r}, but its name is {path.stem}, after the file.",
            "no key 'name'",
            "take the line out, or rename the file.",
        )
    return content


def beyond_plan(plan: Plan, configs: Path, only: Sequence[str]) -> list[str]:
    """Those of `only` that are experiments of `configs`, but not of the plan: named, they join its run."""
    known = [Path(name).stem for name in plan.experiments]
    there = config_names(configs / "experiments")
    names = dict.fromkeys(base_name(name) for name in only)
    return [name for name in names if name not in known and name in there]


def plan_experiments(plan: Plan, configs: Path, only: Sequence[str] = ()) -> list[Experiment]:
    """The plan's experiments, one for each seed; `only` keeps those it names.

    An experiment named in `only` that the plan does not list is taken as if it did (`beyond_plan`). A teacher named
    without a seed is every seed of it. Files that `only` does not name are not looked at, but for teachers' seeds.

    Raises:
        ConfigRefusal: a name in `only` is no experiment, or a file cannot be used.
    """
    files = {Path(name).stem: name for name in [*plan.experiments, *beyond_plan(plan, configs, only)]}
    wanted = {base_name(name) for name in only} or files.keys()
    experiments = [
        one
        for stem, file in files.items()
        if stem in wanted
        for one in _for_each_seed(load_experiment(file, configs, plan.overrides), plan)
    ]
    names = [one.name for one in experiments]
    if unknown := [name for name in only if name not in files and name not in names]:
        everything = list(dict.fromkeys([*files, *names, *config_names(configs / "experiments")]))
        raise ConfigRefusal(
            f"Plan {plan.name} has no experiment {some(unknown)}, and there is no such file under "
            f"{configs / 'experiments'}. {nearest(unknown[0], everything)}"
        )
    chosen = [one for one in experiments if not only or one.name in only or base_name(one.name) in only]
    return [with_all_teachers(one, plan, configs) for one in chosen]


def _for_each_seed(experiment: Experiment, plan: Plan) -> list[Experiment]:
    """The experiment as it is trained with each of its seeds; all but the first are named ``<name>.seed<k>``."""
    seeds = experiment.seeds or plan.seeds
    names = _names_of_seeds(experiment.name, seeds)
    return [
        experiment.model_copy(update={"seed": experiment.seed + seed, "name": name})
        for name, seed in zip(names, seeds, strict=True)
    ]


def _names_of_seeds(name: str, seeds: Sequence[int]) -> list[str]:
    return [name, *(f"{name}.seed{seed}" for seed in seeds[1:])]


def with_all_teachers(experiment: Experiment, plan: Plan, configs: Path) -> Experiment:
    """`experiment` with every seed of each teacher it names without one."""
    files = config_names(configs / "experiments")
    files |= {Path(name).stem: Path(name) for name in plan.experiments if Path(name).stem not in files}
    over = {key: value for key, value in plan.overrides.items() if key == "seeds"}
    teachers: dict[str, None] = {}
    for name in experiment.teachers:
        seeds = load_experiment(str(files[name]), configs, over).seeds or plan.seeds if name in files else ()
        teachers |= dict.fromkeys(_names_of_seeds(name, seeds))
    return experiment.taught_by(tuple(teachers))


def base_name(name: str) -> str:
    """The experiment's name without its seed suffix."""
    return re.sub(r"\.seed\d+$", "", name)
