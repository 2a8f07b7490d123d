from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histoblend.blending.mixture import mixed
from histoblend.blending.rules import RULES, given_weights, rules_for
from histoblend.blending.training import Training
from histoblend.errors import ConfigRefusal


def drawn(members: int = 3, outputs: int = 1, rows: int = 120, seed: int = 0) -> Training:
    """Members of rising worth on four folds whose logits are shifted against each other."""
    generator = np.random.default_rng(seed)
    labels, groups = generator.integers(0, max(2, outputs), rows), generator.integers(0, 4, rows)
    signal = np.eye(outputs)[labels] if outputs > 1 else labels[:, None].astype(float)
    worth = np.linspace(0.3, 1.5, members)[None, :, None]
    logits = signal[:, None] * worth + generator.normal(size=(rows, members, outputs))
    names = tuple("abcdefgh"[:members])
    given = {name: 1.0 + place for place, name in enumerate(names)}
    return Training(names, logits, labels, groups, given)


EVERY = [(name, outputs) for outputs in (1, 3) for name in rules_for(max(2, outputs))]


@pytest.mark.parametrize(("name", "outputs"), EVERY)
def test_every_rule_is_plain_data_deterministic_and_blind_to_the_order_of_members(name: str, outputs: int):
    training = drawn(outputs=outputs)
    mixture = RULES[name].learn(training)
    assert np.abs(mixture.weights).sum() == pytest.approx(1)
    blended = mixed(training.logits, training.groups, mixture)
    assert blended.shape == (120, outputs) and np.isfinite(blended).all()
    assert (RULES[name].learn(drawn(outputs=outputs)).weights == mixture.weights).all()
    turned = RULES[name].learn(training.only(np.array([2, 1, 0])))
    np.testing.assert_allclose(turned.weights[::-1], mixture.weights, atol=1e-5)


@pytest.mark.parametrize(("name", "outputs"), EVERY)
def test_members_that_agree_are_blended_to_what_they_say(name: str, outputs: int):
    training = drawn(outputs=outputs)
    logits = np.repeat(training.logits[:, 2:], 3, axis=1)
    mixture = RULES[name].learn(replace(training, logits=logits))
    alone = mixed(logits, np.zeros(120), mixture)
    assert (np.argsort(alone, axis=0) == np.argsort(logits[:, 0], axis=0)).all() or outputs > 1
    assert (alone.argmax(axis=1) == logits[:, 0].argmax(axis=1)).all()


@pytest.mark.parametrize("name", RULES)
def test_no_rule_compares_raw_logits_of_different_folds(name: str):
    """Each fold's models are shifted by their own constant, common to all members: weights stay."""
    training = drawn()
    shifted = replace(training, logits=training.logits + (10.0 * training.groups)[:, None, None])
    before, after = (RULES[name].learn(one).weights for one in (training, shifted))
    np.testing.assert_allclose(after, before, atol=1e-9)


@pytest.mark.parametrize("name", ["rank_mean", "stacking_nonnegative", "stacking_l2"])
def test_rules_of_ranks_are_blind_to_each_members_scale_in_each_fold(name: str):
    training = drawn()
    scales = np.random.default_rng(1).uniform(0.1, 10, (4, 3))[training.groups][..., None]
    scaled = replace(training, logits=np.sinh(training.logits) * scales)
    before, after = (mixed(one.logits, one.groups, RULES[name].learn(one)) for one in (training, scaled))
    np.testing.assert_allclose(after, before, atol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_a_member_that_is_constant_is_no_trouble(name: str):
    training = drawn()
    training.logits[:, 0] = 0.25
    mixture = RULES[name].learn(training)
    assert np.isfinite(mixture.weights).all()
    assert np.isfinite(mixed(training.logits, training.groups, mixture)).all()
    if RULES[name].learns and not name.startswith("stacking"):
        assert mixture.weights[0] <= 0.05


def test_ranks_are_offered_for_two_classes_only():
    """Ranks within a class forget how common it is: the most probable class would be another."""
    assert set(rules_for(2)) == set(RULES)
    assert set(RULES) - set(rules_for(3)) == {"rank_mean", "stacking_nonnegative", "stacking_l2"}


def test_power_mean_takes_the_plans_power_and_of_one_is_the_mean_of_probabilities():
    training = replace(drawn(), power=1.0)
    of_power, plain = (RULES[name].learn(training) for name in ("power_mean", "probability_mean"))
    np.testing.assert_array_equal(
        mixed(training.logits, training.groups, of_power), mixed(training.logits, training.groups, plain)
    )
    assert RULES["power_mean"].learn(drawn()).power == 2.0


def test_weights_that_were_given_are_shares():
    training = replace(drawn(), given={"c": 6.0, "a": 2.0})
    np.testing.assert_array_equal(given_weights(training), [0.25, 0.0, 0.75])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "has no weights"),
        ({"a": 1.0, "cc": 1.0}, "cc, which is no member"),
        ({"a": 0.0}, "no member any"),
    ],
)
def test_weights_that_do_not_fit_are_refused(given: dict[str, float] | None, message: str):
    with pytest.raises(ConfigRefusal, match=message) as refusal:
        given_weights(replace(drawn(), given=given))
    assert "{a: 1, b: 1, c: 1}" in str(refusal.value)
