"""Keras optimizers from a configuration."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from histoblend.config_experiment import Optimizer


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


def build_optimizer(settings: Optimizer, rate: TabledRate | float, ema: float) -> keras.optimizers.Optimizer:
    """The optimizer; `ema` is the decay of the averaged weights, 0 for none.

    Weight decay is decoupled (Loshchilov & Hutter 2019) and leaves biases and normalisation alone.
    """
    shared: dict[str, Any] = {
        "learning_rate": rate,
        "weight_decay": settings.weight_decay or None,
        "global_clipnorm": settings.clip_norm,
        "use_ema": ema > 0,
        "ema_momentum": ema or 0.99,
    }
    if settings.name == "sgd":
        optimizer = keras.optimizers.SGD(momentum=settings.momentum, nesterov=settings.nesterov, **shared)
    elif settings.name == "adam":
        optimizer = keras.optimizers.Adam(beta_1=settings.momentum, **shared)
    else:
        shared["weight_decay"] = settings.weight_decay
        optimizer = keras.optimizers.AdamW(beta_1=settings.momentum, **shared)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
