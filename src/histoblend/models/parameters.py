"""What may stand beside a network's name in an experiment file: declared without Keras, so quick to check."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Head = Literal["flatten", "gap", "centre", "centre_max"]
Normalisation = Literal["batch", "group", "layer", "none"]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"]
Rate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=4, le=2048)]
Count = Annotated[int, Field(ge=1, le=12)]
Crop = Annotated[int, Field(ge=8, le=512, multiple_of=2)]


class Parameters(BaseModel):
    """Base of every network's parameters: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FromScratch(Parameters):
    """What the networks trained from scratch have in common."""

    head: Head = "centre"
    """How the last feature map becomes one vector."""
    crop: Crop | None = None
    """Side in pixels of the centre square kept of the patch; null for all of it."""
    dropout: Rate = 0.2
    """Dropout before the last layer."""
    normalisation: Normalisation = "batch"
    """Normalisation after each convolution."""
    activation: Activation = "relu"
    """Activation after each normalisation."""


class CourseCnn(Parameters):
    """Parameters of `course_cnn`."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=5)] = (32, 64, 128)
    """Filters of each convolution."""
    dense: Width = 128
    """Units of the hidden dense layer."""
    dropout: Rate = 0.0
    """Dropout before the last layer."""
    normalisation: Normalisation = "none"
    """Normalisation after each convolution."""
    activation: Activation = "relu"
    """Activation of the convolutions and of the hidden dense layer."""
    crop: Crop | None = None
    """Side in pixels of the centre square kept of the patch; null for all of it."""


class SmallVgg(FromScratch):
    """Parameters of `small_vgg`."""

    widths: tuple[Width, ...] = (16, 32, 64, 128)
    """Filters of each stage; stages are separated by max pooling."""
    depths: tuple[Count, ...] = (2, 2, 2, 2)
    """Convolutions in each stage."""

    @model_validator(mode="after")
    def _stages_agree(self) -> SmallVgg:
        require_equal_length(self.widths, self.depths, "depths")
        return self


class SmallResnet(FromScratch):
    """Parameters of `small_resnet`."""

    widths: tuple[Width, ...] = (16, 32, 64, 128)
    """Filters of each stage; stages are separated by max pooling."""
    blocks: tuple[Count, ...] = (1, 1, 1, 1)
    """Residual blocks in each stage."""
    attention: bool = False
    """Squeeze-and-excitation in each block."""

    @model_validator(mode="after")
    def _stages_agree(self) -> SmallResnet:
        require_equal_length(self.widths, self.blocks, "blocks")
        return self


class Backbone(Parameters):
    """Parameters of every network that stands on one of keras.applications."""

    weights: str = "imagenet"
    """`imagenet`, `none` for random weights, or the path of a file of weights without the top."""
    head: Head = "centre"
    """How the last feature map becomes one vector."""
    crop: Crop | None = None
    """Side in pixels of the centre square kept of the patch; null for all of it."""
    dropout: Rate = 0.3
    """Dropout before the last layer."""


class TextureHgb(Parameters):
    """Parameters of `texture_hgb`."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.06
    """Shrinkage of each tree."""
    iterations: Annotated[int, Field(ge=1)] = 200
    """Trees."""
    leaves: Annotated[int, Field(ge=2)] = 15
    """Leaves of a tree at most."""
    samples_per_leaf: Annotated[int, Field(ge=1)] = 20
    """Patches in a leaf at least."""
    l2: Annotated[float, Field(ge=0)] = 1.0
    """L2 regularisation of the leaves."""
    feature_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the statistics tried at each split."""


def require_equal_length(widths: tuple[int, ...], others: tuple[int, ...], name: str) -> None:
    """Raise ValueError unless there is one entry of `others` for each stage in `widths`."""
    if not widths or len(widths) != len(others):
        raise ValueError(f"widths has {len(widths)} stages and {name} has {len(others)}")
