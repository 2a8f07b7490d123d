"""A small vision transformer, trained from scratch: squares of the patch become tokens that look at one another.

After Dosovitskiy et al. 2021 (arXiv:2010.11929), normalised before each branch, with stochastic depth (Huang et al.
2016, arXiv:1603.09382). Instead of a class token, the tokens go back to their places as a feature map, so every head of
the table reads them: with 96 pixels and squares of 8 the labelled centre is exactly the middle 4x4 of 12x12 tokens.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from histoblend.errors import ConfigRefusal
from histoblend.models import heads, layers
from histoblend.models.parameters import SmallVit
from histoblend.models.problem import Problem

EXPANSION = 4  # hidden units of a block's perceptron, in multiples of the width


@keras.saving.register_keras_serializable(package="histoblend")
class Positions(keras.layers.Layer):
    """Adds one learned vector to each token: (n, tokens, width) -> the same shape."""

    reach = "cell"

    def macs(self) -> int:
        """None: the table is added."""
        return 0

    def build(self, input_shape: Any) -> None:
        spread = keras.initializers.TruncatedNormal(stddev=0.02)
        self.table = self.add_weight(shape=tuple(input_shape[1:]), initializer=spread, name="positions")

    def call(self, inputs: Any) -> Any:
        return inputs + ops.cast(self.table, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="histoblend")
class SelfAttention(keras.layers.Layer):
    """Scaled dot products of queries and keys weigh the values: (n, tokens, 3 * width) -> (n, tokens, width).

    Without weights of its own. Scores and their softmax are float32 under any policy: in half precision
    the exponentials of a long row do not add up to one.
    """

    reach = "whole"

    def __init__(self, attention_heads: int, **options: Any) -> None:
        super().__init__(**options)
        self.attention_heads = attention_heads

    def macs(self) -> int:
        """Multiply-accumulates of one patch: queries by keys, then weights by values."""
        tokens, width = self.output.shape[1:]
        return 2 * tokens * tokens * width

    def call(self, inputs: Any) -> Any:
        tokens, width = inputs.shape[1], inputs.shape[2] // 3
        split = ops.reshape(inputs, (-1, tokens, 3, self.attention_heads, width // self.attention_heads))
        query, key, value = (split[:, :, part] for part in range(3))
        # Scaled before the product, which may be beyond float16.
        query = query * (width // self.attention_heads) ** -0.5
        scores = ops.cast(ops.einsum("nqhd,nkhd->nhqk", query, key), self._precise())
        weights = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        return ops.reshape(ops.einsum("nhqk,nkhd->nqhd", weights, value), (-1, tokens, width))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], input_shape[-1] // 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "attention_heads": self.attention_heads}

    def _precise(self) -> str:
        return "float64" if self.compute_dtype == "float64" else "float32"


def small_vit(problem: Problem, settings: SmallVit) -> keras.Model:
    """uint8 (n, side, side, 3) -> logits (n, outputs).

    Raises:
        ConfigRefusal: the side the network sees is no multiple of `settings.patch`.
    """
    cells = _cells(problem.input_size, settings.patch)
    patch = layers.patch_input(problem)
    pixels = layers.chained(patch, [*layers.entrance(problem, settings.crop), layers.unit_range()])
    tokens = layers.chained(pixels, _embedding(cells * cells, settings))
    for number in range(settings.depth):
        tokens = _block(tokens, settings, number)
    tokens = _normalised(tokens, "last_norm")
    features = keras.layers.Reshape((cells, cells, settings.width), name="map")(tokens)
    return keras.Model(patch, heads.logit(features, problem, settings), name="small_vit")


def _cells(input_size: int, patch: int) -> int:
    if input_size % patch:
        raise ConfigRefusal(
            f"network.patch is {patch}; the network sees {input_size} pixels, which it does not divide.",
            "a side that is a multiple of network.patch",
            "change input_size or network.patch in the experiment.",
        )
    return input_size // patch


def _embedding(tokens: int, settings: SmallVit) -> list[keras.layers.Layer]:
    """Pixels -> (n, tokens, width)."""
    return [
        keras.layers.Conv2D(settings.width, settings.patch, strides=settings.patch, name="tokens_conv"),
        keras.layers.Reshape((tokens, settings.width), name="tokens"),
        Positions(name="positions"),
    ]


def _block(tokens: Any, settings: SmallVit, number: int) -> Any:
    """Attention, then a perceptron for each token, each beside a shortcut: (n, tokens, width) -> the same shape."""
    name, width = f"block{number + 1}", settings.width
    rate = settings.drop_path * (number + 1) / settings.depth
    attended = keras.layers.Dense(3 * width, name=f"{name}_qkv")(_normalised(tokens, f"{name}_norm1"))
    attended = SelfAttention(settings.attention_heads, name=f"{name}_attention")(attended)
    attended = keras.layers.Dense(width, name=f"{name}_project")(attended)
    tokens = _beside_shortcut(tokens, attended, rate, f"{name}_attended")
    hidden = keras.layers.Dense(EXPANSION * width, activation="gelu", name=f"{name}_expand")(
        _normalised(tokens, f"{name}_norm2")
    )
    reduced = keras.layers.Dense(width, name=f"{name}_reduce")(hidden)
    return _beside_shortcut(tokens, reduced, rate, f"{name}_reduced")


def _normalised(tokens: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(tokens)


def _beside_shortcut(shortcut: Any, branch: Any, rate: float, name: str) -> Any:
    """Adds the branch, left out for a whole patch at `rate` in training."""
    if rate:
        branch = keras.layers.Dropout(rate, noise_shape=(None, 1, 1), name=f"{name}_drop")(branch)
    return keras.layers.Add(name=f"{name}_add")([shortcut, branch])
