"""JSON schemas of plan, experiment, recipe and sweep files (draft 2020-12): editors complete keys and mark typos.

Derived from the settings of config.py, config_experiment.py and config_training.py and from the registries, so
that a new key, network or preset is in them without further ado. What only a trial can tell (whether a transform
takes a value) is left to loading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from histoblend.blending.decision import AUTO
from histoblend.blending.rules import RULES
from histoblend.config import Plan
from histoblend.config_experiment import Experiment
from histoblend.config_files import configs_folder
from histoblend.config_recipe import Recipe
from histoblend.data.augmentation_presets import PRESETS
from histoblend.data.augmentations import transform_parameters
from histoblend.models.registry import NETWORKS
from histoblend.searching.sweep_config import UNSEARCHABLE, Sweep
from histoblend.workspace import write_text

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
RENEW = "./run.sh schema"
DURATION = r"^(?=.*[0-9])([0-9]+([.][0-9]+)?h)?([0-9]+([.][0-9]+)?m)?([0-9]+([.][0-9]+)?s)?$"
NETWORK_NAME = "Name of the network; it decides which parameters may stand beside it."
BASE = (
    "Name of an experiment whose settings are taken where this file says nothing: mappings are merged key "
    "by key, lists replaced; another network brings its own defaults."
)


class _Untitled(GenerateJsonSchema):
    """Without the titles pydantic makes of names: descriptions say more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schemas() -> dict[str, Schema]:
    """The schemas of ``plan``, ``experiment``, ``recipe`` and ``sweep`` files."""
    return {
        "plan": _plan_schema(),
        "experiment": _experiment_schema(),
        "recipe": _recipe_schema(),
        "sweep": _sweep_schema(),
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write ``<kind>.schema.json`` for each kind of file into `folder`; returns their paths."""
    paths = []
    for kind, schema in schemas().items():
        paths.append(folder / f"{kind}.schema.json")
        write_text(paths[-1], json.dumps(schema, indent=1, ensure_ascii=False) + "\n")
    return paths


def schema_command(output: Path | None, environment: Mapping[str, str]) -> list[Path]:
    """Write the schemas into `output`, else into ``schema/`` of the current configs folder; returns their paths.

    Raises:
        ConfigRefusal: no folder is named and there is no configs folder.
        MachineRefusal: the folder cannot be written.
    """
    return write_schemas(output or configs_folder(environment) / "schema")


def _experiment_schema() -> Schema:
    schema = _of_file(Experiment)
    definitions = schema["$defs"] | _shared_definitions()
    properties = {
        "base": {"type": "string", "minLength": 1, "description": BASE},
        **_experiment_properties(schema["properties"]),
    }
    whole = {"required": ["network"], "properties": {"network": {"$ref": "#/$defs/Network"}}}
    return schema | {
        "$defs": definitions,
        "properties": properties,
        "required": [],
        "if": {"not": {"required": ["base"]}},
        "then": whole,
    }


def _recipe_schema() -> Schema:
    schema = _of_file(Recipe)
    return schema | {
        "$defs": schema["$defs"] | {"Transform": _transform_schema()},
        "properties": schema["properties"] | {"augmentation": _augmentation(schema["properties"])},
    }


def _plan_schema() -> Schema:
    schema = _with_laid_over(_of_file(Plan), "overrides")
    for key in ("experiments", "seeds"):
        schema["properties"][key]["uniqueItems"] = True
    schema["properties"]["budget"]["anyOf"][0]["pattern"] = DURATION
    rules = {"enum": [AUTO, *RULES]}
    blend = {key: value for key, value in schema["properties"]["blend"].items() if key != "$ref"}
    schema["properties"]["blend"] = blend | {"anyOf": [{"$ref": "#/$defs/Blend"}, rules]}
    schema["$defs"]["Blend"]["properties"]["rule"] |= rules
    return schema


def _with_laid_over(schema: Schema, key: str) -> Schema:
    """`schema` whose property `key` holds settings of an experiment, none of them required."""
    experiment, description = _of_file(Experiment), schema["properties"][key]["description"]
    laid_over = experiment | {
        "description": description,
        "properties": _experiment_properties(experiment["properties"]),
        "required": [],
    }
    definitions = schema["$defs"] | laid_over.pop("$defs") | _shared_definitions()
    for one in ("$schema", "title"):
        del laid_over[one]
    properties = schema["properties"] | {key: {"$ref": "#/$defs/Overrides", "description": description}}
    return schema | {"properties": properties, "$defs": definitions | {"Overrides": laid_over}}


def _sweep_schema() -> Schema:
    schema = _with_laid_over(_of_file(Sweep), "trial_settings")
    ways = [{"required": ["choices"]}, {"required": ["low", "high"]}]
    schema["$defs"]["Parameter"]["oneOf"] = ways
    schema["properties"]["parameters"] |= {
        "properties": {
            key: {"$ref": "#/$defs/Parameter", "description": description}
            for key, description in _dotted(schema["$defs"]["Overrides"], schema["$defs"])
        },
        "additionalProperties": False,
    }
    return schema


def _dotted(schema: Schema, definitions: Schema, above: str = "") -> Iterator[tuple[str, str]]:
    """Settings inside of `schema` that can be searched, by dotted key, and what each is."""
    for name, value in schema["properties"].items():
        key = f"{above}{name}"
        if key in UNSEARCHABLE:
            continue
        inside = {"$ref": "#/$defs/NetworkPart"} if key == "network" else value
        below = definitions.get(inside.get("$ref", "").rpartition("/")[2], {})
        yield key, value["description"] if "description" in value else below["description"]
        if "properties" in below:
            yield from _dotted(below, definitions, f"{key}.")


def _of_file(model: type[BaseModel]) -> Schema:
    """The schema of `model` without its name, which is the file's."""
    schema = model.model_json_schema(schema_generator=_Untitled)
    del schema["properties"]["name"]
    schema["required"] = [key for key in schema["required"] if key != "name"]
    title = f"histoblend {model.__name__.lower()}"
    return {"$schema": DRAFT, "title": title, **schema, "$defs": schema["$defs"]}


def _shared_definitions() -> Schema:
    return {
        "Network": _network_schema(),
        "NetworkPart": _network_part_schema(),
        "Transform": _transform_schema(),
    }


def _experiment_properties(properties: Schema) -> Schema:
    """Those of the model, its network and augmentation spelled out by the registries."""
    network = {"anyOf": [{"$ref": "#/$defs/Network"}, {"$ref": "#/$defs/NetworkPart"}]}
    return properties | {
        "network": network | {"description": properties["network"]["description"]},
        "augmentation": _augmentation(properties),
    }


def _augmentation(properties: Schema) -> Schema:
    presets = {"type": "string", "enum": list(PRESETS), "description": "A preset."}
    transforms = {
        "type": "array",
        "items": {"$ref": "#/$defs/Transform"},
        "description": "Transforms, one after the other.",
    }
    return dict(properties["augmentation"]) | {"anyOf": [presets, transforms]}


def _network_schema() -> Schema:
    """A name alone, or a name and parameters: one branch for each set of parameters in the registry."""
    named = {"oneOf": [{"const": name, "description": row.description} for name, row in NETWORKS.items()]}
    branches = [_branch(settings) for settings in dict.fromkeys(row.settings for row in NETWORKS.values())]
    return {"description": "A network of the registry and its parameters.", "anyOf": [named, *branches]}


def _branch(settings: type[BaseModel]) -> Schema:
    names = [name for name, row in NETWORKS.items() if row.settings is settings]
    schema = settings.model_json_schema(schema_generator=_Untitled)
    name = {"enum": names, "description": NETWORK_NAME}
    return schema | {"properties": {"name": name, **schema["properties"]}, "required": ["name"]}


def _network_part_schema() -> Schema:
    """Parameters without a name, laid over a network named elsewhere: those of any network."""
    found: dict[str, list[Schema]] = {}
    for row in NETWORKS.values():
        for key, schema in row.settings.model_json_schema(schema_generator=_Untitled)["properties"].items():
            if schema not in found.setdefault(key, []):
                found[key].append(schema)
    return {
        "description": "Parameters of the network that is named elsewhere.",
        "type": "object",
        "properties": {
            key: {"description": variants[0]["description"], "anyOf": variants}
            for key, variants in found.items()
        },
        "additionalProperties": False,
    }


def _transform_schema() -> Schema:
    """A transform of an augmentation, each with the parameters it takes."""
    known = transform_parameters()
    return {
        "description": "A transform of albumentations 2.0.8, OneOf, or one of histoblend's own, with parameters.",
        "type": "object",
        "properties": {
            "name": {"enum": list(known), "description": "Name of the transform."},
            "p": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "Probability; in a OneOf the weight of this choice.",
            },
        },
        "required": ["name"],
        "allOf": [_parameters_allowed(name, parameters) for name, parameters in known.items()],
    }


def _parameters_allowed(name: str, parameters: list[str]) -> Schema:
    then: Schema = {"propertyNames": {"enum": ["name", *parameters]}}
    if name == "OneOf":
        choices = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Transform"}}
        choices["description"] = "The transforms of which one is drawn."
        then |= {"properties": {"transforms": choices}, "required": ["transforms"]}
    return {"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": then}
