from __future__ import annotations

import numpy as np
import pytest

from histoblend.data.views import ALL_VIEWS, IDENTITY, apply_view, chosen_views, undo_view

PATCHES = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)


def seen(view: int) -> bytes:
    return apply_view(PATCHES, view).tobytes()


def test_the_eight_views_are_all_different():
    assert len({seen(view) for view in ALL_VIEWS}) == 8


def test_the_first_view_is_the_patch_itself():
    assert chosen_views(1) == (IDENTITY,)
    np.testing.assert_array_equal(apply_view(PATCHES, IDENTITY), PATCHES)


@pytest.mark.parametrize("count", [1, 4, 8])
def test_fewer_views_are_distinct_ones_of_the_eight_identity_first(count: int):
    views = chosen_views(count)
    assert len(views) == len({seen(view) for view in views}) == count
    assert views[0] == IDENTITY
    assert set(views) <= set(ALL_VIEWS)


@pytest.mark.parametrize("view", ALL_VIEWS)
def test_each_view_is_undone_by_its_inverse(view: int):
    np.testing.assert_array_equal(undo_view(apply_view(PATCHES, view), view), PATCHES)
    np.testing.assert_array_equal(apply_view(undo_view(PATCHES, view), view), PATCHES)


def test_views_are_closed_under_composition():
    """A group: averaging over all of it forgets how the patch lay."""
    views = {seen(view) for view in ALL_VIEWS}
    for first in ALL_VIEWS:
        composed = {apply_view(apply_view(PATCHES, first), second).tobytes() for second in ALL_VIEWS}
        assert composed == views


@pytest.mark.parametrize("view", ALL_VIEWS)
def test_each_patch_of_a_batch_is_turned_by_itself(view: int):
    for number in range(len(PATCHES)):
        alone = apply_view(PATCHES[number : number + 1], view)
        np.testing.assert_array_equal(apply_view(PATCHES, view)[number], alone[0])
    assert apply_view(PATCHES, view).dtype == np.uint8
