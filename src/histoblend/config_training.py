"""How a network is trained, as it may stand in an experiment's file: step, schedule, stages, sampling, loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0, lt=1)]
ONE_CYCLE_CLIMB = 0.3  # of the training, where the file gives no warm-up


class Settings(BaseModel):
    """Base of every settings block: unknown keys are refused, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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
    first_layer_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Rate of the first layer as a share of the head's, geometric in between (discriminative rates); 1: all alike."""


class Schedule(Settings):
    """The learning rate as a function of training progress (0 to 1) and, for `plateau`, of the history."""

    name: Literal["constant", "step", "plateau", "cosine", "one_cycle"] = "cosine"
    """Shape of the schedule."""
    warmup: Fraction = 0.0
    """Share of the training over which the rate climbs linearly from near zero (one_cycle: to the peak, 0 for 0.3)."""
    hold: Fraction = 0.0
    """Share of the training at its end over which the rate stays where its shape ends (cosine: at `final`)."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Rate at the end as a share of the highest (cosine, one_cycle)."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the rate is multiplied with at each milestone (step) or plateau."""
    milestones: tuple[Fraction, ...] = (0.5, 0.75)
    """Progress at which `step` lowers the rate."""
    patience: Annotated[int, Field(ge=1)] = 3
    """Epochs without a better inner-split AUC before `plateau` lowers the rate."""

    @model_validator(mode="after")
    def _fits(self) -> Schedule:
        if self.climb + self.hold >= 1:
            climb = f"warmup {self.climb}" + (
                " (of one_cycle, where none is given)" if not self.warmup else ""
            )
            raise ValueError(f"{climb} and hold {self.hold} leave nothing of the training between them")
        return self

    @property
    def climb(self) -> float:
        """Share of the training over which the rate climbs."""
        return self.warmup or (ONE_CYCLE_CLIMB if self.name == "one_cycle" else 0.0)


class Stage(Settings):
    """A part of the training in which the first layers are frozen; their normalisations predict, as in inference."""

    until: Annotated[float, Field(gt=0, lt=1)]
    """Progress of the training at which the next stage begins; to the nearest epoch, one at least."""
    body: Annotated[float, Field(ge=0, lt=1)]
    """Share of the layers before the head that learn beside it, the last ones; 0: the head alone."""


class PseudoLabels(Settings):
    """Test patches learned from, with what other experiments say of them."""

    teachers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Experiments whose predictions these are, of the same fold: none of them saw the scored fold."""
    confidence: Fraction = 0.0
    """Least probability of the most probable class; test patches below it are left out."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of such a patch in the loss; a labelled one weighs 1."""
    soft: bool = True
    """Learn the teachers' probability; else their most probable class."""

    @field_validator("teachers")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"teachers {', '.join(value)}: one is named twice")
        return value


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
    average_last: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Keep the mean of the weights at the ends of the epochs in this last share of the training; 0 for none."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Blend each patch and its target with another's, the share drawn from Beta(mixup, mixup); 0 for none."""
    stages: tuple[Stage, ...] = ()
    """Stages in which the first layers are frozen, one after the other; after the last all layers learn."""
    selection: Literal["last", "best"] = "last"
    """Keep the last weights, or the best by AUC on an inner split cut, grouped, from the training folds."""
    inner_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    """Share of the training folds in the inner split, where something watches it."""
    stop_patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better inner-split AUC before training stops; null for the full length."""
    pseudo_labels: PseudoLabels | None = None
    """Learn from test patches too, with labels by other experiments that left the same fold out; null for none."""
    normalisation_statistics: Literal["recomputed", "moving"] = "recomputed"
    """Batch-normalisation statistics at the end: recomputed on the training folds, or the moving averages."""
    tensorboard: bool = True
    """Write TensorBoard logs per task (where TensorBoard is installed)."""
    save_model: bool = False
    """Also save the network with its sigmoid as one .keras file, and draw the fold's ROC curve."""

    @model_validator(mode="after")
    def _one_average(self) -> Training:
        if self.average_last and self.ema:
            raise ValueError("ema and average_last are two ways to average the weights: set one of them to 0")
        if self.average_last and self.normalisation_statistics == "moving":
            raise ValueError(
                "average_last needs normalisation_statistics: recomputed; moving ones belong to other weights"
            )
        if self.average_last and self.stop_patience is not None:
            raise ValueError(
                "average_last and stop_patience: a training that stops early may never reach its last epochs; "
                "set one of them to its default"
            )
        return self

    @model_validator(mode="after")
    def _stages_in_order(self) -> Training:
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)):
            raise ValueError(f"stages: until goes {ends}; each has to be later than the one before")
        if self.epochs <= len(self.stages):
            raise ValueError(
                f"stages: {len(self.stages)} of them and the rest of the training take {len(self.stages) + 1} "
                f"epochs at least; epochs is {self.epochs}: set training.epochs to as many, or training.stages to []"
            )
        return self
