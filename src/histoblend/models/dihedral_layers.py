"""Layers that turn with their input: convolutions of the group D4, tied normalisation, aligned pooling.

Maps are (n, h, w, 8 * fields), orientation-major; see `histoblend.models.dihedral`. A convolution expands its one
kernel to the ordinary kernel of all eight orientations and is one ordinary convolution from there on.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from histoblend.errors import ConfigRefusal
from histoblend.models.dihedral import ORDER, kernel_sources
from histoblend.models.layers import BatchNormalization

Shape = tuple[int | None, ...]


def require_aligned(name: str, side: int, window: int, stride: int) -> None:
    """Check that windows on a map of `side` cells come to lie on windows when the map is turned or mirrored.

    Raises:
        ConfigRefusal: they do not: some cells at one border would be left out, or padded, and none at the other.
    """
    if side % stride == 0 and window >= stride and (window - stride) % 2 == 0:
        return
    raise ConfigRefusal(
        f"{name}: windows of {window} cells every {stride} on a map of {side} cells do not fall onto themselves when "
        "the patch is turned, so the network would not be invariant.",
        f"a side that {stride} divides and windows of {stride}, {stride + 2}, {stride + 4} ... cells",
        "choose an input_size (or network.crop) that can be halved between all stages, such as 96 or 64, "
        "or fewer stages.",
    )


class DihedralConvolution(keras.layers.Layer):
    """What both convolutions share: one kernel (size, size, channels, fields), turned to eight orientations.

    Several maps of equal size may come in as a list; they count as one whose fields follow each other. Padding is
    `same`. Strides need windows that stay aligned; see `require_aligned`.
    """

    orientations = 1
    """Of the map that comes in."""

    def __init__(
        self, fields: int, kernel_size: int = 3, strides: int = 1, use_bias: bool = True, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.fields, self.kernel_size, self.strides = fields, kernel_size, strides
        self.use_bias = use_bias

    def build(self, input_shape: Any) -> None:
        """Create kernel and bias; refuse maps on which the convolution would not be equivariant."""
        shapes = _shapes(input_shape)
        self._parts = [int(shape[-1] or 0) for shape in shapes]
        if any(channels % self.orientations for channels in self._parts):
            raise ValueError(f"{self._parts} channels are no whole numbers of fields of {self.orientations}")
        for side in shapes[0][1:3]:
            if side is not None:
                require_aligned(self.name, side, self.kernel_size, self.strides)
        shape = (self.kernel_size, self.kernel_size, sum(self._parts), self.fields)
        self.kernel = self.add_weight(shape=shape, initializer="he_normal", name="kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.fields,), initializer="zeros", name="bias")
        self._sources = kernel_sources(self.kernel_size, self.orientations)
        self.built = True

    def full_kernel(self) -> Any:
        """The ordinary kernel (size, size, channels, 8 * fields) of all orientations, from the one kernel."""
        starts = np.cumsum([0, *self._parts])
        kernels = [self.kernel[:, :, first:last] for first, last in itertools.pairwise(starts)]
        full = [expanded_kernel(kernel, self._sources) for kernel in kernels]
        return ops.concatenate(full, axis=2) if len(full) > 1 else full[0]

    def expanded_values(self) -> np.ndarray:
        """The values of `full_kernel`, gathered on the host: exact where an accelerator's products are not."""
        kernel = ops.convert_to_numpy(self.kernel)
        size, fields = kernel.shape[0], kernel.shape[-1]
        full = []
        for part in np.split(kernel, np.cumsum(self._parts)[:-1], axis=2):
            taken = part.reshape(len(self._sources), -1, fields)[self._sources]  # rows, 8, within, fields
            full.append(taken.transpose(0, 2, 1, 3).reshape(size, size, -1, ORDER * fields))
        return np.concatenate(full, axis=2)

    def call(self, inputs: Any) -> Any:
        """(n, h, w, channels), or a list of such -> (n, h / strides, w / strides, 8 * fields)."""
        if isinstance(inputs, (list, tuple)):
            inputs = ops.concatenate(inputs, axis=-1)
        outputs = ops.conv(
            inputs, self.full_kernel(), strides=self.strides, padding="same", data_format="channels_last"
        )
        if self.bias is None:
            return outputs
        return ops.add(outputs, ops.tile(ops.convert_to_tensor(self.bias), [ORDER]))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """(n, h, w, channels), or a list of such -> (n, h / strides, w / strides, 8 * fields)."""
        count, *sides = _shapes(input_shape)[0][:3]
        return (
            count,
            *(None if side is None else side // self.strides for side in sides),
            ORDER * self.fields,
        )

    def macs(self) -> int:
        """Multiply-accumulates for one patch: those of the ordinary convolution it comes to."""
        return math.prod(self.output.shape[1:]) * math.prod(self.kernel.shape[:3])

    def get_config(self) -> dict[str, Any]:
        """What the layer is rebuilt from."""
        own = {name: getattr(self, name) for name in ("fields", "kernel_size", "strides", "use_bias")}
        return {**super().get_config(), **own}


def _shapes(input_shape: Any) -> list[Shape]:
    """The shapes of the maps that come in, of which there may be one."""
    several = isinstance(input_shape[0], (list, tuple))
    return list(input_shape) if several else [input_shape]


@keras.saving.register_keras_serializable(package="histoblend")
class LiftingConvolution(DihedralConvolution):
    """From a picture (n, h, w, channels) to a map of the group (n, h, w, 8 * fields)."""


@keras.saving.register_keras_serializable(package="histoblend")
class GroupConvolution(DihedralConvolution):
    """From a map of the group (n, h, w, 8 * fields before) to another (n, h, w, 8 * fields)."""

    orientations = ORDER


def expanded_kernel(kernel: Any, sources: np.ndarray) -> Any:
    """The ordinary kernel (size, size, channels, 8 * fields) of one (size, size, channels, fields).

    The values are gathered by a product with a one-hot matrix: exact, as each is one value times 1 (but for a card that
    multiplies float32 in TF32, which rounds the kernel as it does in the convolution that follows), as fast as an
    indexed gather (.2 to .4 ms forward and back for 16 fields to 16 on one core; eight flips and a stack took 2.5), and
    its gradient is a product as well, summed in float32, where that of an indexed gather is a scattered sum that
    bfloat16 rounds at each addition.

    Args:
        sources: of `kernel_sources`.
    """
    size, _, channels, fields = kernel.shape
    rows = len(sources)
    within = size * size * channels // rows
    one_hot = np.eye(rows, dtype=np.float32)[sources.ravel()]
    flat = ops.reshape(kernel, (rows, within * fields))
    taken = ops.matmul(ops.convert_to_tensor(one_hot, dtype=flat.dtype), flat)
    split = ops.transpose(ops.reshape(taken, (rows, ORDER, within, fields)), (0, 2, 1, 3))
    return ops.reshape(split, (size, size, channels, ORDER * fields))


@keras.saving.register_keras_serializable(package="histoblend")
class TiedBatchNormalization(BatchNormalization):
    """Batch normalisation of a map of the group: scale, offset and statistics are shared by the 8 orientations.

    Weights are those of a batch normalisation of `fields` channels, and the statistics are exactly those of the
    map reshaped to (n, h, w * 8, fields).
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if not (self.scale and self.center):
            raise ValueError("a tied normalisation has a scale and an offset: scale and center must be True")

    def build(self, input_shape: Shape) -> None:
        """Create the weights, one value for each field."""
        channels = int(input_shape[-1] or 0)
        super().build((*input_shape[:-1], channels // ORDER))
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: channels})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """(n, h, w, 8 * fields) -> the same shape."""
        batch_statistics, fusable = bool(training and self.trainable), self._fusable(inputs, mask)
        if batch_statistics:
            return self._fused(inputs) if fusable else self._reshaped(inputs)
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        scale, offset = (ops.tile(one, [ORDER]) for one in (scale, self.beta - self.moving_mean * scale))
        if fusable:
            from histoblend.models.dihedral_normalisation import affine

            return affine(inputs, scale, offset)
        return ops.cast(ops.add(ops.multiply(inputs, scale), offset), self.compute_dtype)

    def _fused(self, inputs: Any) -> Any:
        from histoblend.models.dihedral_normalisation import tied

        outputs, mean, variance = tied(inputs, self.gamma.value, self.beta.value, self.epsilon)
        keep, take = self.momentum, 1.0 - self.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * take)
        self.moving_variance.assign(self.moving_variance * keep + variance * take)
        return outputs

    def _reshaped(self, inputs: Any) -> Any:
        """Keras's own computation of the map reshaped to `fields` channels, on any backend and in any precision."""
        _, rows, columns, channels = inputs.shape
        split = ops.reshape(inputs, (-1, rows, columns * ORDER, channels // ORDER))
        outputs = keras.layers.BatchNormalization.call(self, split, training=True)
        return ops.reshape(outputs, (-1, rows, columns, channels))


@keras.saving.register_keras_serializable(package="histoblend")
class GroupPooling(keras.layers.Layer):
    """From a map of the group (n, h, w, 8 * fields) to an ordinary one (n, h, w, fields) that turns with the patch."""

    reach = "cell"

    def __init__(self, method: str = "mean", **settings: Any) -> None:
        super().__init__(**settings)
        self.method = method

    def call(self, inputs: Any) -> Any:
        """Mean or maximum over the orientations."""
        _, rows, columns, channels = inputs.shape
        split = ops.reshape(inputs, (-1, rows, columns, ORDER, channels // ORDER))
        return ops.mean(split, axis=3) if self.method == "mean" else ops.max(split, axis=3)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, h, w, 8 * fields) -> (n, h, w, fields)."""
        return (*input_shape[:-1], int(input_shape[-1] or 0) // ORDER)

    def get_config(self) -> dict[str, Any]:
        """What the layer is rebuilt from."""
        return {**super().get_config(), "method": self.method}
