"""Normalisation tied over the eight orientations, through TensorFlow's fused kernels. TensorFlow only.

The obvious way, reshaping (n, h, w, 8 * fields) to (n, h, w * 8, fields), leaves the fused kernel with so few
channels that it falls back to slow code: on one core a step of 16 maps of 96x96x16 took 26 ms in float32 and 112 ms
in bfloat16, and a plain batch normalisation of those 16 channels 1.3 and 1.1 ms. So the kernels run on all
8 * fields channels, their statistics are combined, and what differs from the tied normalisation is one affine map of
each channel: 2.2 and 1.9 ms.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from histoblend.models.dihedral import ORDER

_EPSILON = 1e-3


def affine(inputs: Any, scale: Any, offset: Any) -> Any:
    """``inputs * scale + offset`` for each channel, in one pass; scale and offset are float32 (channels,)."""
    # The kernel divides by sqrt(variance + epsilon), which is 1 here; some backends want an epsilon above zero.
    return tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=scale,
        offset=offset,
        mean=tf.zeros_like(scale),
        variance=tf.ones_like(scale) - _EPSILON,
        epsilon=_EPSILON,
        is_training=False,
    ).y


def over_orientations(values: Any) -> Any:
    """Mean (fields,) of (8 * fields,)."""
    return tf.reduce_mean(tf.reshape(values, (ORDER, -1)), axis=0)


def to_orientations(values: Any) -> Any:
    """(fields,) repeated to (8 * fields,)."""
    return tf.tile(values, [ORDER])


def tied(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Normalise with the batch's own statistics, shared by the orientations.

    Args:
        inputs: (n, h, w, 8 * fields), float32, bfloat16 or float16.
        gamma: float32 (fields,), as `beta`.

    Returns:
        Outputs like `inputs`, mean and biased variance float32 (fields,); no gradient goes through the latter two.
    """

    @tf.custom_gradient
    def normalised(x: Any, gamma: Any, beta: Any) -> Any:
        channels = x.shape[-1]
        count = tf.cast(tf.size(x) // channels, tf.float32)
        none = tf.zeros((0,))
        plain = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=tf.ones(channels), offset=tf.zeros(channels), mean=none, variance=none, epsilon=epsilon
        )
        mean_c, variance_c = plain.batch_mean, plain.batch_variance * (count - 1.0) / count  # Bessel undone
        mean = over_orientations(mean_c)
        shift_c = mean_c - to_orientations(mean)
        variance = over_orientations(variance_c + shift_c * shift_c)
        inverse, inverse_c = tf.math.rsqrt(variance + epsilon), tf.math.rsqrt(variance_c + epsilon)
        scale = gamma * inverse
        outputs = affine(x, to_orientations(scale), to_orientations(beta - mean * scale))

        def gradient(upstream: Any, *_: Any) -> tuple[Any, Any, Any]:
            scale_c, tied_inverse_c = to_orientations(scale), to_orientations(inverse)
            kernel = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=x,
                scale=scale_c / inverse_c,
                reserve_space_1=plain.reserve_space_1,
                reserve_space_2=plain.reserve_space_2,
                reserve_space_3=plain.reserve_space_3,
                epsilon=epsilon,
            )
            # Means over the cells of the upstream gradient, and of its product with the normalised input.
            plain_c = kernel.offset_backprop / count
            product_c = kernel.scale_backprop / count
            tied_plain = over_orientations(plain_c)
            tied_product = over_orientations(tied_inverse_c * (product_c / inverse_c + shift_c * plain_c))
            # The kernel took away its own channel's means; the tied ones are taken away instead.
            own, shared = inverse_c * product_c, to_orientations(inverse * tied_product)
            slope = scale_c * (own - shared)
            constant = scale_c * (
                plain_c - to_orientations(tied_plain) - mean_c * own + to_orientations(mean) * shared
            )
            cells = count * ORDER
            return kernel.x_backprop + affine(x, slope, constant), tied_product * cells, tied_plain * cells

        return (outputs, mean, variance), gradient

    # Read here: a custom gradient takes tensors, not variables.
    outputs, mean, variance = normalised(inputs, tf.identity(gamma), tf.identity(beta))
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance)
