from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.inference.tiles import Grid
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.predicting.picture_logits import InOnePass, tile_by_tile
from histoblend.predicting.trained import Member, TrainedModel

SIDE, STRIDE = 24, 8


def silent(done: int, total: int) -> None:
    assert 0 < done <= total


def network(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    parameters = {"widths": [4, 6], "depths": [1, 1]}
    return build_network("small_vgg", parameters, Problem(SIDE, SIDE))


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    members = (
        Member("first", (network(0), network(1)), (0, 1, 2, 3, 4, 5, 6, 7), 3.0),
        Member("second", (network(2),), (0, 5), 1.0),
    )
    return TrainedModel("blend", SIDE, ("no tumour", "tumour"), False, members)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 93, 3), dtype=np.uint8)


def test_each_tile_has_the_logit_of_that_crop_alone(model: TrainedModel, picture: np.ndarray) -> None:
    grid = Grid(70, 93, SIDE, STRIDE)
    logits = tile_by_tile(model)(picture, grid, silent).reshape(grid.rows, grid.columns)
    for row, column in ((1, 1), (3, 4), (6, 9)):
        top, left = row * STRIDE - grid.margin, column * STRIDE - grid.margin
        alone = model.logits(picture[None, top : top + SIDE, left : left + SIDE])[0, 0]
        np.testing.assert_allclose(logits[row, column], alone, rtol=1e-4, atol=1e-6)


def test_members_are_averaged_by_their_weights_over_their_own_folds_and_views(model: TrainedModel) -> None:
    patches = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    first, second = (
        np.mean([one.predict_on_batch(np.rot90(patches, view % 4, (1, 2))[:, :, :: -1 if view > 3 else 1])
                 for one in member.networks for view in member.views], axis=0)
        for member in model.members
    )  # fmt: skip
    np.testing.assert_allclose(model.logits(patches), (3 * first + second) / 4, rtol=1e-5)


def test_tiles_do_not_depend_on_the_batch(model: TrainedModel, picture: np.ndarray) -> None:
    grid = Grid(70, 93, SIDE, STRIDE)
    whole = tile_by_tile(model)(picture, grid, silent)
    np.testing.assert_allclose(tile_by_tile(model, 7)(picture, grid, silent), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("stride", "block"), [(8, 8), (8, 40), (4, 24)])
def test_blocks_leave_no_seams(model: TrainedModel, picture: np.ndarray, stride: int, block: int) -> None:
    one = replace(model, members=(replace(model.members[1], views=(0, 5)),))
    grid = Grid(70, 93, SIDE, stride)
    whole = InOnePass(one, 200)(picture, grid, silent)
    np.testing.assert_allclose(InOnePass(one, block)(picture, grid, silent), whole, rtol=1e-4, atol=1e-6)


def test_one_pass_and_tiles_look_at_the_same_places(picture: np.ndarray) -> None:
    """With 1x1 convolutions there is no border to differ in: both are equal for every view."""
    patch = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    features = keras.layers.Rescaling(1 / 127.5, -1.0)(patch)
    features = keras.layers.Conv2D(5, 1, activation="relu")(features)
    features = keras.layers.MaxPooling2D(2)(features)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    inner = keras.layers.GlobalMaxPooling2D()(keras.layers.Cropping2D(((1, 4), (4, 2)))(features))
    logit = keras.layers.Dense(1)(keras.layers.Concatenate()([pooled, inner]))
    for views in ((0,), (1,), (6,), tuple(range(8))):
        member = Member("plain", (keras.Model(patch, logit),), views)
        model = TrainedModel("plain", SIDE, ("no", "yes"), False, (member,))
        grid = Grid(70, 93, SIDE, STRIDE)
        tiles = tile_by_tile(model)(picture, grid, silent)
        np.testing.assert_allclose(InOnePass(model, 24)(picture, grid, silent), tiles, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", [tile_by_tile, InOnePass])
def test_a_shift_by_one_stride_shifts_the_map_by_one_cell(
    model: TrainedModel, picture: np.ndarray, way: type[InOnePass]
) -> None:
    larger = np.pad(picture, ((32, 32), (32, 32), (0, 0)), mode="wrap")
    grid, small = Grid(134, 157, SIDE, STRIDE), Grid(126, 149, SIDE, STRIDE)
    before = way(model)(larger, grid, silent).reshape(grid.rows, grid.columns)
    after = way(model)(larger[8:, 8:], small, silent).reshape(small.rows, small.columns)
    np.testing.assert_allclose(before[6:-6, 6:-6], after[5:-6, 5:-6], rtol=1e-4, atol=1e-6)


def test_a_stride_between_the_cells_is_refused(model: TrainedModel, picture: np.ndarray) -> None:
    with pytest.raises(ConfigRefusal, match="multiple of 2 pixels"):
        InOnePass(model)(picture, Grid(70, 93, SIDE, 5), silent)
