"""Recipes: named ways to train, each a YAML file of configs/recipes, on which an experiment stands.

A recipe holds the pieces of an experiment that say how a network is trained, not which one. An experiment that
names it states only its own differences, and they win.
"""

from __future__ import annotations

from typing import Any

from pydantic import create_model, field_validator

from histoblend.config_experiment import Experiment, resolvable
from histoblend.config_training import Settings

PIECES = ("augmentation", "optimizer", "schedule", "training", "precision")

_declared: dict[str, Any] = {
    key: (Experiment.model_fields[key].annotation, Experiment.model_fields[key]) for key in ("name", *PIECES)
}
Recipe = create_model(
    "Recipe",
    __base__=Settings,
    __doc__="The pieces of an experiment that say how a network is trained.",
    __validators__={"resolvable": field_validator("augmentation")(resolvable)},
    **_declared,
)
