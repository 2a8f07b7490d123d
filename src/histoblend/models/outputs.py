"""The two faces of a network: its logit (losses, blending, ranking) and its probability (for people)."""

from __future__ import annotations

import keras

PROBABILITY = "probability"


def logit_model(network: keras.Model) -> keras.Model:
    """The network up to its float32 logits (n, outputs), sharing its layers; a final sigmoid or softmax is left out.

    Losses and ranks work on logits: a float32 sigmoid is exactly 1 above about 17 and ties what differed.
    """
    last = network.layers[-1]
    if last.name != PROBABILITY:
        return network
    return keras.Model(network.inputs[0], network.layers[-2].output, name=network.name)


def probability_model(network: keras.Model) -> keras.Model:
    """The network with a final sigmoid, or a softmax over its classes: (n, outputs) in 0..1, sharing its layers."""
    if network.layers[-1].name == PROBABILITY:
        return network
    logits = network.outputs[0]
    return keras.Model(network.inputs[0], probability_layer(logits.shape[-1])(logits), name=network.name)


def without_optimizer(model: keras.Model) -> keras.Model:
    """The same layers as a model that was never compiled: Keras saves an optimizer beside the weights else."""
    return keras.Model(model.inputs, model.outputs, name=model.name)


def probability_layer(outputs: int) -> keras.layers.Layer:
    """The last layer for people: a sigmoid of one logit, a softmax of several."""
    function = "sigmoid" if outputs == 1 else "softmax"
    return keras.layers.Activation(function, dtype="float32", name=PROBABILITY)
