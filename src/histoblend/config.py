"""Plans and experiments: what may stand in a YAML file, loaded, checked and resolved.

A file states only what differs from the annotated defaults below. An unknown key or value stops the run and
names the nearest valid one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from histoblend.data.augmentations import resolve_augmentation
from histoblend.errors import ConfigRefusal, some
from histoblend.models.problem import Problem
from histoblend.models.registry import check_network

Fraction = Annotated[float, Field(ge=0, lt=1)]
Views = Literal[1, 4, 8]


@contextmanager
def as_value_errors() -> Iterator[None]:
    """Refusals as pydantic's own errors: it gathers them, so that a file's faults are told all at once."""
    try:
        yield
    except ConfigRefusal as refusal:
        raise ValueError(str(refusal)) from refusal


class Settings(BaseModel):
    """Base of every settings block: unknown keys are refused, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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


class Optimizer(Settings):
    """How a step is taken."""

    name: Literal["sgd", "adam", "adamw"] = "adamw"
    """Rule of the step."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate of the schedule."""
    momentum: Fraction = 0.9
    """Momentum of SGD; first moment decay of Adam and AdamW."""
    nesterov: bool = False
    """Nesterov momentum, SGD only."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay, of kernels only."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Largest global norm of the gradient; null for none."""


class Schedule(Settings):
    """The learning rate as a function of training progress (0 to 1) and, for `plateau`, of the history."""

    name: Literal["constant", "step", "plateau", "cosine", "one_cycle"] = "cosine"
    """Shape of the schedule."""
    warmup: Fraction = 0.0
    """Share of the training over which the rate climbs linearly from near zero (one_cycle: to the peak)."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Rate at the end as a share of the highest (cosine, one_cycle)."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the rate is multiplied with at each milestone (step) or plateau."""
    milestones: tuple[Fraction, ...] = (0.5, 0.75)
    """Progress at which `step` lowers the rate."""
    patience: Annotated[int, Field(ge=1)] = 3
    """Epochs without a better inner-split AUC before `plateau` lowers the rate."""


class Training(Settings):
    """Length, sampling, loss and what is kept."""

    epochs: Annotated[int, Field(ge=1)] = 20
    """Epochs; an epoch sees every training patch once unless samples_per_epoch says otherwise."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Patches per step."""
    samples_per_epoch: Annotated[int, Field(ge=1)] | None = None
    """Patches drawn per epoch; null for all. Draws go on through fresh permutations, so all are seen in turn."""
    balanced: bool = False
    """Draw both classes equally often."""
    label_smoothing: Fraction = 0.0
    """Targets become smoothing/2 and 1 - smoothing/2."""
    class_weight: Literal["none", "balanced"] = "none"
    """Weight the loss inversely to class frequency in the training folds."""
    ema: Fraction = 0.0
    """Decay of the exponential moving average of the weights that is kept at the end; 0 for the raw weights."""
    selection: Literal["last", "best"] = "last"
    """Keep the last weights, or the best by AUC on an inner split cut, grouped, from the training folds."""
    inner_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    """Share of the training folds in the inner split, where something watches it."""
    stop_patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better inner-split AUC before training stops; null for the full length."""
    normalisation_statistics: Literal["recomputed", "moving"] = "recomputed"
    """Batch-normalisation statistics at the end: recomputed on the training folds, or the moving averages."""
    tensorboard: bool = True
    """Write TensorBoard logs per task (where TensorBoard is installed)."""
    save_model: bool = False
    """Also save the network with its sigmoid as one .keras file, and draw the fold's ROC curve."""


class Experiment(Settings):
    """One network with one recipe, trained on every fold."""

    name: str
    """Name of the experiment: the file's stem."""
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
    role: Literal["member", "yardstick"] = "member"
    """A yardstick is ranked but not blended."""
    views: Views | None = None
    """Dihedral views averaged at prediction; null for the plan's `tta`."""

    @field_validator("network", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("augmentation")
    @classmethod
    def _resolvable(cls, value: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        with as_value_errors():
            resolve_augmentation(value)
        return value

    def problem(self, side: int, classes: int) -> Problem:
        """What the network is built for, on patches of `side` pixels."""
        return Problem(side, self.input_size or side, classes)

    @property
    def needs_inner_split(self) -> bool:
        """Whether anything watches a metric during training."""
        watches = self.training.selection == "best" or self.training.stop_patience is not None
        return watches or self.schedule.name == "plateau"


Action = Literal["keep", "drop", "stop"]
Grouping = Literal["group", "keep", "drop", "stop"]


class DataSettings(Settings):
    """How pictures become patches, and what is done with odd ones before the folds are made.

    ``drop`` takes patches out of training and folds, never out of test: a submission needs every id.
    """

    source: Literal["files", "digits"] = "files"
    """Where the patches come from: a data folder, or scikit-learn's bundled digits."""
    side: Annotated[int, Field(ge=16, le=512, multiple_of=2)] = 96
    """Side in pixels of the packed patch; pictures of other sizes are brought to it."""
    fit: Literal["resize", "crop"] = "resize"
    """Pictures of other sizes: their centre square resized, or the centre cut out (padded where too small)."""
    use_valid: Literal["folds", "holdout"] = "folds"
    """A valid/ folder or PCam's validation part: joins the folds, or is scored apart and never trained on."""
    unreadable: Literal["drop", "stop"] = "stop"
    """Training files of zero bytes, truncated or no picture; in test they always stop the run."""
    converted: Action = "keep"
    """Greyscale, alpha, palette, 16-bit, CMYK, rotated or multi-page files (see docs/data.md for the rules)."""
    other_size: Action = "keep"
    """Pictures that had to be resized or cropped."""
    blank: Action = "keep"
    """Patches of one colour: all black, all white, or hardly any contrast."""
    duplicates: Grouping = "group"
    """Patches with the same pixels; drop keeps the first by id."""
    near_duplicates: Grouping = "group"
    """Patches that differ by compression, a slight shift or brightness; drop keeps the first by id."""
    conflicting_labels: Action = "keep"
    """Patches with the same pixels and different labels; drop takes all of them out."""
    stain_outliers: Action = "keep"
    """Patches whose colour statistics lie far from all others."""


class FoldSettings(Settings):
    """How the training patches are split."""

    count: Annotated[int, Field(ge=2, le=20)] = 5
    """Number of folds."""
    slides: Literal["auto", "map", "stain-clusters", "none"] = "auto"
    """Groups that stay together: a slide map's slides, pseudo-slides from stain statistics, or none."""
    slide_map: Path | None = None
    """CSV with columns id,wsi; null: found beside the data."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the split."""


class Blend(Settings):
    """How complete experiments are combined."""

    rule: Literal["logit_mean", "rank_mean"] = "logit_mean"
    """The rule whose blend becomes the submission; both are ranked."""


class Submission(Settings):
    """What stands in submission.csv."""

    scale: Literal["rank", "probability"] = "rank"
    """Percentile ranks in (0, 1], ties kept, or blended probabilities; the AUC is the same."""


class Execution(Settings):
    """Where and how tasks are run; no part of any fingerprint."""

    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Processes that augment; auto: none beside a CPU in training, all cores but one beside a GPU."""
    threads: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Threads of the backend; auto: all cores."""
    deterministic: bool | Literal["auto"] = "auto"
    """Deterministic operations; auto: on a CPU yes, on a GPU no."""


class SyntheticSettings(Settings):
    """The synthetic competition that is drawn when there is no data: four patches or more on each of its slides."""

    train_patches: Annotated[int, Field(ge=144)] = 2000
    """Labelled patches."""
    test_patches: Annotated[int, Field(ge=72)] = 1000
    """Test patches, of slides unseen in train."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the drawing."""


class Plan(Settings):
    """What one run does."""

    name: str
    """Name of the plan: the file's stem."""
    experiments: Annotated[tuple[str, ...], Field(min_length=1)]
    """Experiments by name."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    """Each experiment is trained with each seed; equal seeds of one experiment are averaged before blending."""
    data: DataSettings = DataSettings()
    """How pictures become patches, and what is done with odd ones."""
    folds: FoldSettings = FoldSettings()
    """How the training patches are split."""
    tta: Views = 4
    """Dihedral views averaged at prediction."""
    blend: Blend = Blend()
    """How complete experiments are combined."""
    submission: Submission = Submission()
    """What stands in submission.csv."""
    execution: Execution = Execution()
    """Where and how tasks are run."""
    budget: str | None = None
    """Wall-clock time after which no further task is started, such as 11h or 40m; null for none."""
    synthetic: SyntheticSettings = SyntheticSettings()
    """The synthetic competition that is drawn when there is no data."""
    overrides: dict[str, Any] = {}
    """Settings laid over every experiment, such as {training: {epochs: 5}}."""

    @field_validator("experiments", "seeds")
    @classmethod
    def _once_each(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if twice := sorted({str(one) for one in value if value.count(one) > 1}):
            raise ValueError(f"{some(twice)} stands twice")
        return value

    @field_validator("budget")
    @classmethod
    def _duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds."""
        return None if self.budget is None else parse_duration(self.budget)


def parse_duration(text: str) -> float:
    """Seconds in a duration such as ``11h``, ``1h30m``, ``90s``.

    Raises:
        ValueError: the text is not a duration.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not text.strip() or match is None:
        raise ValueError(f"{text!r} is not a duration such as 11h, 1h30m or 90s")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
