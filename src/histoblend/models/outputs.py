"""The two faces of a network: its logit (losses, blending, ranking) and its probability (for people)."""

from __future__ import annotations

import keras

PROBABILITY = "probability"


def logit_model(network: keras.Model) -> keras.Model:
    """The network up to its float32 logit (n, 1), sharing its layers; a final sigmoid is left out.

    Losses and ranks work on logits: a float32 sigmoid is exactly 1 above about 17 and ties what differed.
    """
    last = network.layers[-1]
    if last.name != PROBABILITY:
        return network
    return keras.Model(network.inputs[0], network.layers[-2].output, name=network.name)


def probability_model(network: keras.Model) -> keras.Model:
    """The network with a final sigmoid, (n, 1) in 0..1, sharing its layers."""
    if network.layers[-1].name == PROBABILITY:
        return network
    sigmoid = keras.layers.Activation("sigmoid", dtype="float32", name=PROBABILITY)
    return keras.Model(network.inputs[0], sigmoid(network.outputs[0]), name=network.name)
