"""The vision transformer: tokens stay where they were, attention is exact, half precision does not hurt its softmax."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.models import small_vit
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network, check_network
from histoblend.models.small_vit import Positions, SelfAttention
from histoblend.models.summary import count_macs, count_parameters

TINY = {"patch": 16, "width": 16, "depth": 2, "attention_heads": 2}
PATCHES = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype="uint8")


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_attention_by_hand():
    tokens = np.random.default_rng(0).normal(size=(2, 5, 3 * 8)).astype("float32")
    result = np.asarray(SelfAttention(2)(tokens))
    for head in range(2):
        query, key, value = (tokens[:, :, 8 * part + 4 * head : 8 * part + 4 * head + 4] for part in range(3))
        weights = softmax(query @ key.transpose(0, 2, 1) / 2.0)
        np.testing.assert_allclose(result[:, :, 4 * head : 4 * head + 4], weights @ value, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_softmax_is_taken_in_float32(policy, monkeypatch):
    seen, softmax = [], keras.ops.softmax
    monkeypatch.setattr(
        small_vit.ops, "softmax", lambda scores, **how: (seen.append(scores), softmax(scores, **how))[1]
    )
    tokens = np.random.default_rng(0).normal(size=(1, 1024, 12)).astype("float32")
    half = SelfAttention(1, dtype=policy)(tokens)
    assert {keras.backend.standardize_dtype(scores.dtype) for scores in seen} == {"float32"}
    assert keras.backend.standardize_dtype(half.dtype) == policy.removeprefix("mixed_")
    exact = np.asarray(SelfAttention(1, dtype="float32")(tokens))
    assert np.abs(np.asarray(keras.ops.cast(half, "float32")) - exact).max() < 0.02


def test_large_queries_do_not_overflow_in_float16():
    """The product of 64 numbers of 40 and 40 is beyond float16, its scaled score is not."""
    tokens = np.full((1, 3, 3 * 64), 40.0, "float16")
    result = np.asarray(SelfAttention(1, dtype="mixed_float16")(tokens), "float32")
    np.testing.assert_allclose(result, 40.0, rtol=1e-2)


def test_attention_does_not_know_the_order_of_tokens_and_positions_do():
    tokens = np.random.default_rng(0).normal(size=(1, 6, 12)).astype("float32")
    order = np.array([3, 1, 5, 0, 2, 4])
    attention, positions = SelfAttention(2), Positions()
    np.testing.assert_allclose(
        attention(tokens[:, order]), np.asarray(attention(tokens))[:, order], atol=1e-5
    )
    assert not np.allclose(positions(tokens[:, order]), np.asarray(positions(tokens))[:, order])


def test_tokens_return_to_their_places():
    """Without blocks a change of one square changes one cell of the map, the one at its place."""
    model = build_network("small_vit", {**TINY, "depth": 1, "drop_path": 0.0}, Problem())
    for layer in ("block1_project", "block1_reduce"):
        model.get_layer(layer).set_weights([np.zeros(w.shape) for w in model.get_layer(layer).get_weights()])
    maps = keras.Model(model.input, model.get_layer("map").output)
    changed = PATCHES.copy()
    changed[:, 16:32, 64:80] = 255 - changed[:, 16:32, 64:80]
    moved = np.abs(np.asarray(maps(changed)) - np.asarray(maps(PATCHES))).max((0, 3))
    assert maps.output.shape == (None, 6, 6, 16)
    assert np.argwhere(moved > 1e-6).tolist() == [[1, 4]]


def test_a_side_that_the_squares_do_not_divide_is_refused():
    with pytest.raises(ConfigRefusal, match=r"network.patch is 16; the network sees 100 pixels"):
        build_network("small_vit", TINY, Problem(input_size=100))


def test_a_width_that_the_attentions_do_not_share_is_refused():
    with pytest.raises(ConfigRefusal, match="width is 100, no multiple of attention_heads, 3"):
        check_network("small_vit", {"width": 100, "attention_heads": 3})


def test_parameters_and_macs_by_arithmetic():
    model = build_network("small_vit", {"head": "gap"}, Problem())
    tokens, width = 144, 128
    block = 12 * width * width + (3 + 1 + 4 + 1) * width + 4 * width
    expected = 6 * block + (192 + 1) * width + tokens * width + 2 * width + width + 1
    assert count_parameters(model) == expected
    multiplied = 6 * (tokens * 12 * width**2 + 2 * tokens**2 * width) + tokens * 192 * width + width
    assert count_macs(model) == multiplied


def test_dropped_branches_are_for_training_only():
    model = build_network("small_vit", {**TINY, "drop_path": 0.9}, Problem())
    np.testing.assert_array_equal(model(PATCHES), model(PATCHES))
    assert not np.array_equal(model(PATCHES, training=True), model(PATCHES, training=True))
