"""The course's network: a Keras Sequential of convolutions, max pooling, flatten and dense layers."""

from __future__ import annotations

from typing import Any

import keras

from histoblend.models import layers
from histoblend.models.outputs import probability_layer
from histoblend.models.parameters import CourseCnn
from histoblend.models.problem import Problem


def course_cnn(problem: Problem, settings: CourseCnn) -> keras.Sequential:
    """uint8 (n, side, side, 3) -> probabilities (n, outputs), through the layers ``logit`` and ``probability``."""
    stack: list[Any] = [layers.patch_input(problem), *layers.entrance(problem, settings.crop)]
    stack.append(layers.unit_range())
    for width in settings.widths:
        stack += _convolution(width, settings)
    stack += [keras.layers.Flatten(), keras.layers.Dense(settings.dense, activation=settings.activation)]
    if settings.dropout:
        stack.append(keras.layers.Dropout(settings.dropout))
    stack.append(keras.layers.Dense(problem.outputs, dtype="float32", name="logit"))
    stack.append(probability_layer(problem.outputs))
    return keras.Sequential(stack, name="course_cnn")


def _convolution(width: int, settings: CourseCnn) -> list[Any]:
    convolution = keras.layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal")
    activation = keras.layers.Activation(settings.activation)
    normalisation = layers.NORMALISATIONS[settings.normalisation](width)
    return [convolution, *normalisation, activation, keras.layers.MaxPooling2D(2)]
