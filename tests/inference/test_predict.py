from __future__ import annotations

import keras
import numpy as np
import pytest

from histoblend.data.views import ALL_VIEWS, apply_view, chosen_views
from histoblend.errors import ConfigRefusal
from histoblend.inference.predict import network_logits, sigmoid, view_logits
from histoblend.models.outputs import logit_model
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 96, 96, 3), dtype=np.uint8)
ROWS = np.array([9, 2, 0, 7, 10, 4, 3])


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return logit_model(build_network("course_cnn", {"widths": [4], "dense": 4}, Problem()))


def test_averaging_all_views_forgets_how_a_patch_lay(network: keras.Model):
    logits = network_logits(network)
    one_view, all_views = [], []
    for view in ALL_VIEWS:
        turned = apply_view(IMAGES, view)
        one_view.append(view_logits(logits, turned, ROWS, chosen_views(1), 4).mean(axis=1)[:, 0])
        all_views.append(view_logits(logits, turned, ROWS, chosen_views(8), 4).mean(axis=1)[:, 0])
    assert np.ptp(one_view, axis=0).max() > 1e-3
    np.testing.assert_allclose(all_views, np.broadcast_to(all_views[0], (8, len(ROWS))), atol=1e-5)


def test_a_last_partial_batch_equals_one_big_batch(network: keras.Model):
    logits = network_logits(network)
    whole = view_logits(logits, IMAGES, ROWS, chosen_views(4), 100)
    assert whole.shape == (7, 4, 1) and whole.dtype == np.float64
    for size in (1, 3, 6, 7):
        np.testing.assert_allclose(view_logits(logits, IMAGES, ROWS, chosen_views(4), size), whole, atol=1e-5)


def test_nothing_is_padded_dropped_or_shown_twice():
    """A fake network that tells which patches it was shown: in each view the rows asked for, in order."""
    shown: list[np.ndarray] = []

    def means(images: np.ndarray) -> np.ndarray:
        shown.append(images)
        return images.mean(axis=(1, 2, 3), dtype=np.float64)[:, None]

    result = view_logits(means, IMAGES, ROWS, chosen_views(8), 3)
    assert sum(len(images) for images in shown) == 8 * len(ROWS)
    expected = IMAGES[ROWS].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(result[..., 0], np.repeat(expected[:, None], 8, axis=1))


def test_column_k_is_view_k():
    def corner(images: np.ndarray) -> np.ndarray:
        return images[:, 0, 1].astype(np.float64)

    views = chosen_views(8)
    result = view_logits(corner, IMAGES, ROWS, views, 4)
    for column, view in enumerate(views):
        np.testing.assert_array_equal(result[:, column], corner(apply_view(IMAGES[ROWS], view)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_stop(bad: float):
    with pytest.raises(ConfigRefusal, match=r"diverged(.|\n)*learning_rate"):
        view_logits(lambda images: np.full((len(images), 1), bad), IMAGES, ROWS, (0,), 4)


def test_sigmoid():
    np.testing.assert_allclose(sigmoid(np.array([0.0, np.log(3), -1000.0, 1000.0])), [0.5, 0.75, 0, 1])
