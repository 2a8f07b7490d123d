from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from histoblend.blending.mixture import POINTWISE, SPACES, Mixture, mixed, mixed_pointwise, normal_scores

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(0, 2, (40, 3, 1))
GROUPS = np.repeat([0, 1], 20)
WEIGHTS = np.array([0.5, 0.2, 0.3])


def blended(space: str, logits: np.ndarray = LOGITS, **more: float) -> np.ndarray:
    return mixed(logits, GROUPS, Mixture(WEIGHTS, space, **more))


def test_logits_and_probabilities_are_weighted_means():
    np.testing.assert_allclose(blended("logit"), LOGITS[:, :, 0] @ WEIGHTS[:, None])
    means = expit(LOGITS[:, :, 0]) @ WEIGHTS[:, None]
    np.testing.assert_allclose(blended("probability"), logit(means))


def test_a_power_mean_is_taken_for_each_class_and_brought_to_a_sum_of_one():
    shares = [(expit(sign * LOGITS[:, :, 0]) ** 3 @ WEIGHTS) ** (1 / 3) for sign in (1, -1)]
    np.testing.assert_allclose(blended("probability", power=3.0)[:, 0], np.log(shares[0] / shares[1]))


def test_towards_a_power_of_zero_it_is_the_mean_of_logits():
    np.testing.assert_allclose(blended("probability", power=1e-7), blended("logit"), atol=1e-5)


def test_of_more_classes_too():
    logits = GENERATOR.normal(size=(10, 3, 4))
    found = mixed(logits, np.zeros(10), Mixture(WEIGHTS, "probability"))
    np.testing.assert_allclose(
        softmax(found, axis=1), np.einsum("mco,c->mo", softmax(logits, axis=2), WEIGHTS)
    )


def test_sure_members_are_not_rounded_to_the_same_probability():
    """In float64 the sigmoid of 40 and of 50 is 1."""
    logits = np.array([[40.0, 40.0], [50.0, 50.0], [-800.0, -700.0]])[:, :, None]
    found = mixed(logits, np.zeros(3), Mixture(np.array([0.5, 0.5]), "probability"))
    np.testing.assert_allclose(found[:2, 0], [40.0, 50.0])
    assert np.isfinite(found).all()


def test_normal_scores_are_standard_normal_within_each_group():
    scores = normal_scores(LOGITS, GROUPS)[:20, 0, 0]
    assert scores.mean() == pytest.approx(0, abs=1e-9) and scores.std() == pytest.approx(0.96, abs=0.02)
    assert (np.argsort(scores) == np.argsort(LOGITS[:20, 0, 0])).all()
    found = blended("normal", slope=2.0, intercept=-1.0)
    np.testing.assert_allclose(found[:, 0], normal_scores(LOGITS, GROUPS)[:, :, 0] @ WEIGHTS * 2 - 1)


@pytest.mark.parametrize("space", ["rank", "normal"])
def test_spaces_of_ranks_are_blind_to_any_monotone_change_within_a_group(space: str):
    changed = np.where(GROUPS[:, None, None] == 0, np.exp(LOGITS), LOGITS**3 - 50)
    np.testing.assert_allclose(blended(space, changed), blended(space))


@pytest.mark.parametrize("space", POINTWISE)
def test_a_patch_is_blended_by_itself_where_that_is_possible(space: str):
    mixture = Mixture(WEIGHTS, space, power=1.5)
    whole = mixed(LOGITS, GROUPS, mixture)
    np.testing.assert_allclose(mixed(LOGITS[7:8], GROUPS[7:8], mixture), whole[7:8])
    picture = LOGITS.reshape(5, 8, 3, 1)  # rows and columns of a picture
    np.testing.assert_allclose(mixed_pointwise(picture, mixture).reshape(40, 1), whole)


@pytest.mark.parametrize("space", SPACES)
def test_a_member_without_weight_says_nothing_and_no_patch_is_no_trouble(space: str):
    two = Mixture(np.array([0.4, 0.6]), space)
    three = two.over(np.array([0, 2]), 3)
    np.testing.assert_array_equal(three.weights, [0.4, 0.0, 0.6])
    np.testing.assert_allclose(mixed(LOGITS, GROUPS, three), mixed(LOGITS[:, [0, 2]], GROUPS, two))
    assert mixed(LOGITS[:0], GROUPS[:0], two.over(np.array([0, 1]), 3)).shape == (0, 1)
