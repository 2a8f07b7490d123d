"""YAML read strictly: no key twice, numbers as YAML 1.2 has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from histoblend.errors import ConfigRefusal


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


def read_value(text: str) -> Any:
    """A value as it would be read from a file: a number, a word, a list ...

    Raises:
        yaml.YAMLError: it is none.
    """
    return yaml.load(text, Loader=_UniqueKeyLoader)
