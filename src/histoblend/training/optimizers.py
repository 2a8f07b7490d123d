"""Keras optimizers from a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from histoblend.config_training import Optimizer


@keras.saving.register_keras_serializable("histoblend")
class TabledRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate looked up by step in a table."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = np.asarray(table, np.float32)

    def __call__(self, step: Any) -> Any:
        last = len(self.table) - 1
        index = keras.ops.minimum(keras.ops.cast(step, "int32"), last)
        return keras.ops.take(keras.ops.convert_to_tensor(self.table), index)

    def get_config(self) -> dict[str, Any]:
        return {"table": self.table.tolist()}


NOT_DECAYED = ("bias", "beta", "gamma", "exponent", "strength")  # the last two: models/pooling.py


class _ByDepth(keras.optimizers.Optimizer):
    """Scales the update of each weight, and its decay, by a share of its own (discriminative rates).

    The update is scaled, not the gradient: Adam divides by the gradient's size, so a scaled gradient would change
    next to nothing.
    """

    def __init__(self, shares: Sequence[float], decay: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.shares, self.decay = tuple(shares), decay

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        decays = (not any(word in variable.name for word in NOT_DECAYED) for variable in variables)
        self.decays = tuple(self.decay if one else 0.0 for one in decays)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self.shares[index]
        if self.decays[index]:
            self.assign_sub(variable, variable * (rate * self.decays[index]))
        super().update_step(gradient, variable, rate)


class SgdByDepth(_ByDepth, keras.optimizers.SGD):
    """SGD with a share of the rate for each weight."""


class AdamByDepth(_ByDepth, keras.optimizers.Adam):
    """Adam, or with decay AdamW, with a share of the rate for each weight."""


def build_optimizer(
    settings: Optimizer, rate: TabledRate | float, ema: float, shares: Sequence[float] | None = None
) -> keras.optimizers.Optimizer:
    """The optimizer; `ema` is the decay of the averaged weights, 0 for none.

    Weight decay is decoupled (Loshchilov & Hutter 2019) and leaves biases and normalisation alone.

    Args:
        shares: what the rate of each weight is multiplied with, in the order in which the optimizer is built;
            None where all have the same.
    """
    shared: dict[str, Any] = {
        "learning_rate": rate,
        "weight_decay": settings.weight_decay or None,
        "global_clipnorm": settings.clip_norm,
        "use_ema": ema > 0,
        "ema_momentum": ema or 0.99,
    }
    if shares is not None:
        return _by_depth(settings, shared | {"weight_decay": None}, shares)
    if settings.name == "sgd":
        optimizer = keras.optimizers.SGD(momentum=settings.momentum, nesterov=settings.nesterov, **shared)
    elif settings.name == "adam":
        optimizer = keras.optimizers.Adam(beta_1=settings.momentum, **shared)
    else:
        shared["weight_decay"] = settings.weight_decay
        optimizer = keras.optimizers.AdamW(beta_1=settings.momentum, **shared)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer


def _by_depth(
    settings: Optimizer, shared: dict[str, Any], shares: Sequence[float]
) -> keras.optimizers.Optimizer:
    decay = settings.weight_decay
    if settings.name == "sgd":
        return SgdByDepth(shares, decay, momentum=settings.momentum, nesterov=settings.nesterov, **shared)
    return AdamByDepth(shares, decay, beta_1=settings.momentum, **shared)
