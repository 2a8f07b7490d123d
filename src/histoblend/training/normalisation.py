"""Normalisation statistics that belong to the final weights, whatever the length of the run.

A moving average with momentum .99 needs hundreds of steps to forget where it started, and an average of
weights (EMA, SWA) was never run in training mode at all. So the statistics are taken anew (as for stochastic
weight averaging, Izmailov et al. 2018, arXiv:1803.05407).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from histoblend.models.summary import leaf_layers


def has_statistics(model: keras.Model) -> bool:
    """Whether the model holds a batch normalisation that is not frozen."""
    return bool(_learning_normalisations(model))


def recompute_statistics(model: keras.Model, batches: Iterable[np.ndarray[Any, Any]]) -> None:
    """Set the moving statistics of every batch normalisation to the mean of its batch statistics.

    The model runs in training mode (dropout on, as when the weights were learned). Everything else stays as
    it is: trainable weights, frozen normalisations, the states of random generators.

    Args:
        model: the network with its final weights; nested models are covered.
        batches: uint8 arrays (n, 96, 96, 3), of equal n but for the last, augmented as in training.

    Raises:
        ValueError: there is no batch.
    """
    normalisations = _learning_normalisations(model)
    if not normalisations:
        return
    statistics = {id(value) for layer in normalisations for value in layer.non_trainable_variables}
    others = [value for value in model.non_trainable_variables if id(value) not in statistics]
    kept = [keras.ops.convert_to_numpy(value) for value in others]
    momenta = [layer.momentum for layer in normalisations]
    try:
        seen = _run(model, normalisations, batches)
    finally:
        for layer, momentum in zip(normalisations, momenta, strict=True):
            layer.momentum = momentum
        for variable, value in zip(others, kept, strict=True):
            variable.assign(value)
    if not seen:
        raise ValueError("recompute_statistics needs at least one batch")


def _run(
    model: keras.Model,
    normalisations: list[keras.layers.BatchNormalization],
    batches: Iterable[np.ndarray[Any, Any]],
) -> int:
    """Feed the batches through the model in training mode; returns how many there were."""
    seen = 0
    for patches in batches:
        for layer in normalisations:
            # With momentum i / (i + 1) the moving average is the plain mean of the batches seen so far.
            layer.momentum = seen / (seen + 1)
        model(patches, training=True)
        seen += 1
    return seen


def _learning_normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [
        layer
        for layer in leaf_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
