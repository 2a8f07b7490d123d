"""The group in numbers: products as the views compose, kernels as the views turn them."""

from __future__ import annotations

import numpy as np
import pytest

from histoblend.data.views import ALL_VIEWS, apply_view, undo_view
from histoblend.models.dihedral import INVERSES, ORDER, PRODUCTS, kernel_sources, transformed_map

PICTURE = np.arange(2 * 5 * 5 * 3).reshape(2, 5, 5, 3)
EIGHT = pytest.mark.parametrize("view", ALL_VIEWS)


@EIGHT
def test_a_product_is_one_view_after_the_other(view: int) -> None:
    for first in ALL_VIEWS:
        both = apply_view(apply_view(PICTURE, first), view)
        np.testing.assert_array_equal(both, apply_view(PICTURE, PRODUCTS[view, first]))


def test_it_is_a_group_that_does_not_commute() -> None:
    assert all(sorted(row) == list(ALL_VIEWS) for row in (*PRODUCTS, *PRODUCTS.T))
    assert all(PRODUCTS[view, INVERSES[view]] == 0 == PRODUCTS[INVERSES[view], view] for view in ALL_VIEWS)
    assert not np.array_equal(PRODUCTS, PRODUCTS.T)


@EIGHT
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_a_lifting_kernel_is_turned_as_a_picture_is(size: int, view: int) -> None:
    kernel = np.random.default_rng(0).normal(size=(1, size, size, 1))
    np.testing.assert_array_equal(
        kernel.ravel()[kernel_sources(size, 1)[:, view]], apply_view(kernel, view).ravel()
    )


@EIGHT
def test_a_group_kernel_is_turned_as_a_map_of_the_group_is(view: int) -> None:
    kernel = np.random.default_rng(0).normal(size=(1, 3, 3, ORDER))
    taken = kernel.ravel()[kernel_sources(3, ORDER)[:, view]]
    np.testing.assert_array_equal(taken.reshape(kernel.shape), transformed_map(kernel, view))


@EIGHT
def test_maps_of_the_group_are_transformed_one_after_the_other(view: int) -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 4, ORDER * 3))
    for first in ALL_VIEWS:
        both = transformed_map(transformed_map(values, first), view)
        np.testing.assert_array_equal(both, transformed_map(values, PRODUCTS[view, first]))
    split = transformed_map(values, view).reshape(2, 4, 4, ORDER, 3)
    for orientation in ALL_VIEWS:
        there = undo_view(split[..., PRODUCTS[view, orientation], :], view)
        np.testing.assert_array_equal(there, values[..., orientation * 3 : orientation * 3 + 3])
