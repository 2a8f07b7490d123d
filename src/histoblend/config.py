"""Plans: what one run does, as it may stand in a YAML file of configs/plans.

A file states only what differs from the annotated defaults below. An unknown key or value stops the run and
names the nearest valid one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from histoblend.config_experiment import Views
from histoblend.config_training import Settings
from histoblend.errors import nearest, some

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
    """How complete experiments are combined; the name of a rule alone is short for {rule: name}."""

    rule: str = "auto"
    """Rule whose blend is submitted; auto: the mean of logits, unless another gains more than noise."""
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None
    """Weights by experiment for the rule `weighted`, in any scale; null for none."""
    power: Annotated[float, Field(gt=0, le=16)] = 2.0
    """Power of the rule `power_mean`; 1 is the mean of probabilities."""
    gate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of two members whose rank correlation is above this, the weaker is left out of every rule; null for none."""

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        return {"rule": value} if isinstance(value, str) else value

    @field_validator("rule")
    @classmethod
    def _known(cls, value: str) -> str:
        from histoblend.blending.rules import RULES

        if value not in (names := ["auto", *RULES]):
            raise ValueError(f"unknown value {value!r}. {nearest(value, names)}")
        return value

    @model_validator(mode="after")
    def _weighted(self) -> Blend:
        if self.weights is not None and not sum(self.weights.values()):
            raise ValueError("weights gives no experiment any weight; one has to be above zero")
        if self.rule == "weighted" and self.weights is None:
            raise ValueError("rule weighted has no weights; give weights: {experiment: 1, ...}")
        return self


class Submission(Settings):
    """What stands in submission.csv."""

    scale: Literal["rank", "probability"] = "rank"
    """Percentile ranks in (0, 1], ties kept, or blended probabilities; the AUC is the same."""


class Execution(Settings):
    """Where and how tasks are run; no part of any fingerprint."""

    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Processes that augment, beside each task that runs; auto: none on a CPU, on a GPU all cores but one, or the
    task's share of the cores where several run."""
    threads: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Threads of the backend, of each process; auto: all cores, shared out among the processes."""
    processes: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    """Tasks that run at the same time, each in a process of its own; auto: one on each card, one in all on a CPU."""
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
    """Dihedral views averaged at prediction; one view of networks that are invariant."""
    blend: Blend = Blend()
    """How complete experiments are combined."""
    submission: Submission = Submission()
    """What stands in submission.csv."""
    execution: Execution = Execution()
    """Where and how tasks are run."""
    report: bool = True
    """Write the page about everything in the output folder, report/index.html, at the end."""
    budget: str | None = None
    """Wall-clock time of a session, such as 11h or 40m; what does not fit waits for the next one; null for none."""
    synthetic: SyntheticSettings = SyntheticSettings()
    """The synthetic competition that is drawn when there is no data."""
    overrides: dict[str, Any] = Field(default_factory=dict)
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
        if value is not None and parse_duration(value) == 0:
            raise ValueError(f"{value!r} leaves no time for anything; null is no budget")
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
