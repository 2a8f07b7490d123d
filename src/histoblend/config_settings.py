"""Settings laid over each other: ``--set key=value``, a plan's overrides, an experiment over its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from histoblend.errors import ConfigRefusal, nearest
from histoblend.yaml_files import read_value

SHORT = {"network": "name", "blend": "rule"}
"""Settings that may be a word alone: `network: small_vgg` is short for `network: {name: small_vgg}`."""


def parse_setting(text: str) -> tuple[list[str], Any]:
    """Split ``a.b=value`` into its keys and the value read as YAML.

    Raises:
        ConfigRefusal: there is no ``=``, no key, or a value that is not YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigRefusal(f"--set {text!r} has no value.", "--set key=value, such as training.epochs=5")
    try:
        return key.strip().split("."), read_value(value)
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
    lay(content, keys, value)


def lay(target: dict[str, Any], keys: list[str], value: Any) -> None:
    """Put `value` into nested mappings, under `keys`.

    Raises:
        ConfigRefusal: something that holds no keys is in the way.
    """
    for key in keys[:-1]:
        inner = target.setdefault(key, {})
        if isinstance(inner, str) and key in SHORT:
            inner = target[key] = {SHORT[key]: inner}
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
