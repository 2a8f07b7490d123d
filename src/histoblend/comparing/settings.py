"""Resolved settings as flat keys, and those in which experiments or blends differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from histoblend.artifacts.forms import Weights
from histoblend.execution.added_settings import ADDED
from histoblend.execution.records import NOT_IDENTITY, OF_NETWORKS, flattened
from histoblend.models.registry import NETWORKS

ABSENT = "(none)"
# What says who it is or who wrote it, not how it was made; data and folds are compared on their own.
LEFT_ASIDE = {"fingerprint", "data", "data_set", "synthetic", "folds", "name", "classes", "side"}
LEFT_ASIDE |= {f"experiment.{key}" for key in NOT_IDENTITY - {"role"}}


def experiment_settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings of an experiment's config.yaml; lists of named steps become keys by the step's name.

    Settings that came after the file was written stand at what they meant then. An estimator on statistics has no
    use for those of a training, which its file holds nevertheless: they are left out.
    """
    flat = flattened(_named(content))
    if "experiment.training.epochs" in flat:
        late = {f"experiment.{key}": value for key, value in ADDED.items() if not key.startswith("network.")}
        flat |= {key: value for key, value in late.items() if key not in flat}
    row = NETWORKS.get(str(flat.get("experiment.network.name")))
    unused = OF_NETWORKS if row is not None and row.kind == "features" else ()
    return {
        key.removeprefix("experiment."): value
        for key, value in flat.items()
        if key not in LEFT_ASIDE and not key.startswith(unused)
    }


def blend_settings(content: Weights) -> dict[str, Any]:
    """Rule, weight of each member and the seeds it is the mean of, of a blend's weights.json."""
    weights = {f"weight of {name}": f"{value:.4g}" for name, value in content.weights.items()}
    seeds = {
        f"seeds of {name}": ", ".join(members)
        for name, members in content.members.items()
        if list(members) != [name]
    }
    return {"rule": content.rule, **weights, **seeds}


def _named(value: Any) -> Any:
    """Lists of mappings that have a name, as augmentations are, as one mapping by name; a name met again is counted."""
    if isinstance(value, Mapping):
        return {key: _named(inner) for key, inner in value.items()}
    if not isinstance(value, list) or not value or not all(_is_step(one) for one in value):
        return value
    steps: dict[str, Any] = {}
    for one in value:
        others = sum(key.split("#")[0] == one["name"] for key in steps)
        name = one["name"] if not others else f"{one['name']}#{others + 1}"
        steps[name] = {key: inner for key, inner in one.items() if key != "name"} or "on"
    return steps


def _is_step(value: Any) -> bool:
    return isinstance(value, Mapping) and "name" in value


def differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The values of each key that is not the same in all, in their order; keys as first met.

    Keys of one section that some lack, as parameters of another network, share a row: ``network.(others)``.
    """
    settings = _without_empty_sections(settings)
    keys = dict.fromkeys(key for one in settings for key in one)
    values = {key: [str(one.get(key, ABSENT)) for one in settings] for key in keys}
    found = {key: row for key, row in values.items() if len(set(row)) > 1}
    lacked = [key for key in found if "." in key and not all(key in one for one in settings)]
    sections = dict.fromkeys(key.split(".")[0] for key in lacked)
    shared = {key: row for key, row in found.items() if key not in lacked}
    for section in sections:
        own = [key for key in lacked if key.split(".")[0] == section]
        shared[own[0] if len(own) == 1 else f"{section}.(others)"] = [_listed(one, own) for one in settings]
    return dict(sorted(shared.items(), key=lambda item: list(found).index(_first(item[0], found))))


def _without_empty_sections(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """An empty list, as of no augmentation, is nothing where others have keys of that section."""
    sections = {key.split(".")[0] for one in settings for key in one if "." in key}
    return [{key: value for key, value in one.items() if value or key not in sections} for one in settings]


def _listed(settings: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The values of those of `keys` that are there."""
    if len(keys) == 1:
        return str(settings.get(keys[0], ABSENT))
    return ", ".join(f"{key.split('.', 1)[1]} {settings[key]}" for key in keys if key in settings) or ABSENT


def _first(key: str, found: Mapping[str, object]) -> str:
    """The first key of the section that a shared row stands for, else `key` itself."""
    if key in found:
        return key
    section = key.removesuffix("(others)")
    return next(one for one in found if one.startswith(section))
