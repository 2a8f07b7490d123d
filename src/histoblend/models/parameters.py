"""What may stand beside a network's name in an experiment file: declared without Keras, so quick to check."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Head = Literal["flatten", "gap", "gap+gmp", "gem", "centre", "centre_max", "centre_attention"]
Normalisation = Literal["batch", "group", "layer", "none"]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"]
Rate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=4, le=2048)]
Count = Annotated[int, Field(ge=1, le=12)]
Fields = Annotated[int, Field(ge=2, le=128, multiple_of=2)]
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


class TwoStream(FromScratch):
    """Parameters of `two_stream`."""

    widths: tuple[Width, ...] = (32, 64, 128)
    """Filters of each stage of the stream that sees the whole (cropped) patch."""
    depths: tuple[Count, ...] = (2, 2, 2)
    """Convolutions in each stage of that stream."""
    shrink: Literal[1, 2, 4] = 2
    """Side in pixels of the squares averaged into one before that stream; 1 leaves it full resolution."""
    centre_widths: tuple[Width, ...] = (32, 64, 128)
    """Filters of each stage of the stream that sees the labelled centre, at full resolution."""
    centre_depths: tuple[Count, ...] = (2, 2, 2)
    """Convolutions in each stage of that stream."""
    centre_head: Head = "gap+gmp"
    """How the last map of the centre's stream becomes one vector; `head` is that of the whole patch."""

    @model_validator(mode="after")
    def _stages_agree(self) -> TwoStream:
        require_equal_length(self.widths, self.depths, "depths")
        require_equal_length(self.centre_widths, self.centre_depths, "centre_depths", "centre_widths")
        return self


class Dihedral(FromScratch):
    """What the networks have in common whose maps turn with the patch and whose logit does not."""

    normalisation: Literal["batch", "none"] = "batch"
    """Normalisation, shared by the eight orientations."""
    stem: Literal["full", "halved"] = "full"
    """First convolution: 3x3 at every pixel, or 6x6 at every other one, which is cheap and loses detail."""
    orientations: Literal["mean", "max"] = "mean"
    """What becomes of the eight orientations before the head."""

    @model_validator(mode="after")
    def _head_is_invariant(self) -> Dihedral:
        if self.head == "flatten":
            raise ValueError(
                "head flatten reads every cell at a place of its own, so the logit would change when the patch is "
                "turned; any other head keeps it"
            )
        return self


class D4Resnet(Dihedral):
    """Parameters of `d4_resnet`."""

    stem: Literal["full", "halved"] = "halved"
    """First convolution: 3x3 at every pixel, or 6x6 at every other one, which leaves room for more fields."""
    fields: tuple[Fields, ...] = (8, 16, 32)
    """Fields of each stage: 8 channels each, one for every orientation; stages are separated by max pooling."""
    blocks: tuple[Count, ...] = (1, 1, 1)
    """Residual blocks in each stage."""

    @model_validator(mode="after")
    def _stages_agree(self) -> D4Resnet:
        require_equal_length(self.fields, self.blocks, "blocks", "fields")
        return self


class D4Densenet(Dihedral):
    """Parameters of `d4_densenet`."""

    growth: Annotated[int, Field(ge=1, le=64)] = 9
    """Fields that each convolution adds, and those of the first: 8 channels each, one for every orientation."""
    blocks: Annotated[tuple[Count, ...], Field(min_length=1, max_length=6)] = (1, 1, 1, 1, 1)
    """Convolutions in each dense block; between blocks the map is halved."""


class SmallVit(Parameters):
    """Parameters of `small_vit`."""

    patch: Literal[4, 8, 12, 16] = 8
    """Side in pixels of the squares that become tokens; the side the network sees is a multiple of it."""
    width: Annotated[int, Field(ge=16, le=768)] = 128
    """Length of a token's vector; a multiple of `attention_heads`."""
    depth: Count = 6
    """Transformer blocks."""
    attention_heads: Count = 4
    """Attentions side by side in each block."""
    drop_path: Rate = 0.1
    """How often the last block is skipped for a patch in training; earlier ones in proportion to their depth."""
    head: Head = "centre"
    """How the last feature map becomes one vector."""
    crop: Crop | None = None
    """Side in pixels of the centre square kept of the patch; null for all of it."""
    dropout: Rate = 0.2
    """Dropout before the last layer."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> SmallVit:
        if self.width % self.attention_heads:
            raise ValueError(f"width is {self.width}, no multiple of attention_heads, {self.attention_heads}")
        return self


class Backbone(Parameters):
    """Parameters of every network that stands on one of keras.applications."""

    weights: str = "imagenet"
    """`imagenet`, `none` for random weights, or the path of a file of weights without the top."""
    stem_stride: Literal[1, 2, 4] = 4
    """How far the first layers shrink the picture: 4 as published (of 96 pixels 3x3 cells stay), 2 (6x6), 1 (12x12)."""
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


def require_equal_length(
    widths: tuple[int, ...], others: tuple[int, ...], name: str, widths_name: str = "widths"
) -> None:
    """Raise ValueError unless there is one entry of `others` for each stage in `widths`."""
    if not widths or len(widths) != len(others):
        raise ValueError(f"{widths_name} has {len(widths)} stages and {name} has {len(others)}")
