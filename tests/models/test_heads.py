"""Heads look where the label lives."""

from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest

from histoblend.models import heads, parameters
from histoblend.models.problem import Field


@pytest.mark.parametrize(
    ("cells", "field", "expected"),
    [(96, 96, (32, 64)), (12, 96, (4, 8)), (3, 96, (1, 2)), (6, 96, (2, 4)), (5, 96, (1, 4)), (8, 64, (2, 6)),
     (4, 32, (0, 4)), (7, 72, (1, 6)), (1, 96, (0, 1)), (2, 96, (0, 2))],
)  # fmt: skip
def test_centre_cells(cells, field, expected):
    assert heads.centre_cells(cells, Field(field)) == expected


@pytest.mark.parametrize("field", range(32, 97, 2))
@pytest.mark.parametrize("cells", [1, 2, 3, 5, 6, 7, 11, 12, 24])
def test_centre_cells_cover_the_label_and_no_spare_ring(cells, field):
    first, last = heads.centre_cells(cells, Field(field))
    left, right = (field - 32) / 2, (field + 32) / 2
    assert first * field / cells <= left and last * field / cells >= right
    assert (first + 1) * field / cells > left


def vector(name: str, features: np.ndarray, field: int = 96) -> np.ndarray:
    inputs = keras.Input(features.shape[1:])
    return np.asarray(keras.Model(inputs, heads.HEADS[name](inputs, Field(field)))(features))


def test_centre_holds_whole_and_centre_means():
    features = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    whole, inner = features.mean((1, 2)), features[:, 2:4, 2:4].mean((1, 2))
    np.testing.assert_allclose(vector("centre", features), np.hstack([whole, inner]), atol=1e-6)
    top = features[:, 2:4, 2:4].max((1, 2))
    np.testing.assert_allclose(vector("centre_max", features), np.hstack([whole, inner, top]), atol=1e-6)
    np.testing.assert_allclose(vector("gap", features), whole, atol=1e-6)
    np.testing.assert_array_equal(vector("flatten", features), features.reshape(2, -1))


def test_what_lies_outside_does_not_reach_the_centre():
    features = np.zeros((1, 6, 6, 2), "float32")
    features[:, 0, 0] = 36.0
    np.testing.assert_allclose(vector("centre", features), [[1, 1, 0, 0]], atol=1e-6)


def test_declared_heads_are_those_of_the_table():
    assert set(get_args(parameters.Head)) == set(heads.HEADS)


@pytest.mark.parametrize("name", [name for name in heads.HEADS if name != "flatten"])
def test_pooled_heads_are_invariant_under_the_dihedral_group(name):
    features = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    turned = np.rot90(features, axes=(1, 2))[:, :, ::-1].copy()
    np.testing.assert_allclose(vector(name, features), vector(name, turned), atol=1e-5)


def test_means_are_taken_in_float32():
    features = keras.ops.cast(np.full((1, 96, 96, 1), 1.0078125), "bfloat16")
    inputs = keras.Input((96, 96, 1), dtype="bfloat16")
    mean = keras.Model(inputs, heads.pooled(inputs, Field()))(features)
    assert keras.backend.standardize_dtype(mean.dtype) == "float32"
    assert float(mean[0, 0]) == pytest.approx(1.0078125, abs=1e-6)
