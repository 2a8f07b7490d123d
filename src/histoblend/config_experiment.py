"""One experiment: a network with its recipe, as it may stand in a YAML file of configs/experiments.

A file states only what differs from the annotated defaults, below and in config_training.py. An unknown key or
value stops the run and names the nearest valid one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from histoblend.config_training import Optimizer, Schedule, Settings, Training
from histoblend.data.augmentations import resolve_augmentation
from histoblend.errors import ConfigRefusal
from histoblend.models.problem import Problem
from histoblend.models.registry import check_network, find_network

Views = Literal[1, 4, 8]


@contextmanager
def as_value_errors() -> Iterator[None]:
    """Refusals as pydantic's own errors: it gathers them, so that a file's faults are told all at once."""
    try:
        yield
    except ConfigRefusal as refusal:
        raise ValueError(str(refusal)) from refusal


def resolvable(augmentation: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """`augmentation` as it is; a ValueError where it is none."""
    with as_value_errors():
        resolve_augmentation(augmentation)
    return augmentation


class Network(BaseModel):
    """A row of the network registry and its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    name: str
    """Name of the network in the registry."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What the file says beside the name."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _known(self) -> Network:
        with as_value_errors():
            check_network(self.name, self.parameters)
        return self


class Experiment(Settings):
    """One network with one recipe, trained on every fold."""

    name: str
    """Name of the experiment: the file's stem."""
    recipe: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Recipe (configs/recipes) whose settings stand where the file and its bases say nothing; of several, the later
    lie over the earlier; null for none."""
    network: Network
    """Network and its parameters."""
    input_size: Annotated[int, Field(ge=16, le=512)] | None = None
    """Side in pixels at which the network sees the patch (resized inside the model); null: as it was packed."""
    augmentation: str | list[dict[str, Any]] = "light"
    """Preset, or a list of transforms with parameters."""
    optimizer: Optimizer = Optimizer()
    """How a step is taken."""
    schedule: Schedule = Schedule()
    """Learning rate over time."""
    training: Training = Training()
    """Length, sampling, loss and what is kept."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """Arithmetic; auto: mixed where the device computes in it, else float32; frozen at the first start."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the weights, the order, the augmentations and dropout."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    """Train it once for each of these, added to `seed`, and average them in the blend; null for the plan's `seeds`."""
    role: Literal["member", "yardstick"] = "member"
    """A yardstick is ranked but not blended."""
    searched: bool = False
    """Its settings won a sweep, which compared them on folds of this data: marked in the ranking."""
    views: Views | None = None
    """Dihedral views averaged at prediction; null for the plan's `tta`, and for 1 of a network that is invariant."""

    @field_validator("network", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("recipe", "seeds")
    @classmethod
    def _each_once(cls, value: Any) -> Any:
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise ValueError(f"{', '.join(map(str, value))}: one stands twice")
        return value

    @field_validator("augmentation")
    @classmethod
    def _resolvable(cls, value: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        return resolvable(value)

    @model_validator(mode="after")
    def _teachable(self) -> Experiment:
        pseudo = self.training.pseudo_labels
        if pseudo is not None and self.name in pseudo.teachers:
            raise ValueError(f"training.pseudo_labels.teachers: {self.name} cannot be its own teacher")
        if pseudo is not None and find_network(self.network.name).kind != "keras":
            raise ValueError(
                f"training.pseudo_labels: {self.network.name} learns from labels alone; only networks can be students"
            )
        return self

    @property
    def teachers(self) -> tuple[str, ...]:
        """Experiments whose predictions of the test patches it learns from."""
        pseudo = self.training.pseudo_labels
        return () if pseudo is None else pseudo.teachers

    def taught_by(self, teachers: tuple[str, ...]) -> Experiment:
        """The same experiment with these teachers in the place of its own."""
        pseudo = self.training.pseudo_labels
        if pseudo is None or pseudo.teachers == teachers:
            return self
        training = {"pseudo_labels": pseudo.model_copy(update={"teachers": teachers})}
        return self.model_copy(update={"training": self.training.model_copy(update=training)})

    def problem(self, side: int, classes: int) -> Problem:
        """What the network is built for, on patches of `side` pixels."""
        return Problem(side, self.input_size or side, classes)

    def views_shown(self, plan_views: int) -> int:
        """Views averaged at prediction under a plan's `tta`: one says it all of a network invariant under them."""
        return self.views or (1 if find_network(self.network.name).invariant else plan_views)

    @property
    def needs_inner_split(self) -> bool:
        """Whether anything watches a metric during training."""
        watches = self.training.selection == "best" or self.training.stop_patience is not None
        return watches or self.schedule.name == "plateau"
