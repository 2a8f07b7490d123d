"""The densely connected network of the group D4 that set the mark on PCam (Veeling et al. 2018, arXiv:1806.03962)."""

from __future__ import annotations

from typing import Any

import keras

from histoblend.models import dihedral_blocks, heads
from histoblend.models.dihedral import ORDER
from histoblend.models.dihedral_blocks import group_convolution, normalised
from histoblend.models.parameters import D4Densenet
from histoblend.models.problem import Problem

Maps = list[Any]
"""Maps of the group, of equal size; not joined, so that each keeps its orientations together."""


def d4_densenet(problem: Problem, settings: D4Densenet) -> keras.Model:
    """uint8 (n, side, side, 3) -> logits (n, outputs), the same for all eight views of a patch.

    After P4M-DenseNet (Veeling et al. 2018; layers as in the authors' code, github.com/basveeling/keras-gcnn,
    applications/densenetnew.py): a convolution to `growth` fields at full resolution; dense blocks whose convolutions
    (normalise, activate, 3x3) each add `growth` fields; between blocks normalise, activate, 1x1 convolution of as many
    fields, and the mean of 2x2 cells; at the end normalise, activate, mean over orientations, head. We found no widths;
    five blocks of one convolution at growth 9 come to 123,400 trained parameters with head `gap`, 3.7 % more than
    the 119 thousand it gives (growth 8 would come to 97,600). What differs from it: borders are padded with zeros
    instead of cut off, the default head looks at the labelled centre too, dropout stands before the logit; the first
    convolution has `growth` fields, where that code leaves them free and has 2 * growth by default; normalisations
    have epsilon 1e-3 and momentum .9 (there 1.1e-5 and .99); kernels have no l2 penalty (there 1e-4).
    In bfloat16 the logit keeps to about a hundredth of its size under the eight views.

    Raises:
        ConfigRefusal: a map between the blocks cannot be halved.
    """
    patch, features = dihedral_blocks.lifted(problem, settings, settings.growth)
    maps = [features]
    for block, layers in enumerate(settings.blocks):
        if block:
            maps = [_transition(maps, settings, f"pool_{block}")]
        for _ in range(layers):
            maps = [*maps, group_convolution(_activated(maps, settings), settings.growth, settings)]
    ordinary = [
        dihedral_blocks.over_orientations(one, settings, f"orientations_{number}")
        for number, one in enumerate(_activated(maps, settings))
    ]
    features = keras.layers.Concatenate(name="all_fields")(ordinary)
    return keras.Model(patch, heads.logit(features, problem, settings), name="d4_densenet")


def _activated(maps: Maps, settings: D4Densenet) -> Maps:
    """Each map normalised and activated; the statistics of a field are its own, joined or not."""
    return [normalised(one, settings) for one in maps]


def _transition(maps: Maps, settings: D4Densenet, name: str) -> Any:
    fields = sum(one.shape[-1] for one in maps) // ORDER
    features = group_convolution(_activated(maps, settings), fields, settings, kernel=1)
    return dihedral_blocks.halved(features, "mean", name)
