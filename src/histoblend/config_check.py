"""Plans and experiments checked: what is wrong with a key or a value, and what is near it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from histoblend.config_training import Settings
from histoblend.errors import ConfigRefusal, nearest

S = TypeVar("S", bound=Settings)


def validated(model: type[S], content: dict[str, Any], where: str) -> S:
    """`content` as a `model`.

    Raises:
        ConfigRefusal: an unknown key or value; names the nearest valid one and `where` it stands.
    """
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
    if problem["type"] == "missing":
        return f"{key} is missing."
    if problem["type"] == "value_error":
        message = problem["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message  # without a key it is about several of them
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
