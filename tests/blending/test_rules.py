from __future__ import annotations

import numpy as np
import pytest

from histoblend.blending.rules import RULES, logit_mean, rank_mean, rules_for

LOGITS = np.array([[0.0, 30.0], [2.0, 10.0], [1.0, 20.0], [3.0, 40.0]])[:, :, None]
ONE = np.zeros(4, int)


def test_logit_mean():
    np.testing.assert_allclose(logit_mean(LOGITS, ONE)[:, 0], [15, 6, 10.5, 21.5])


def test_rank_mean_ignores_the_members_scales():
    moved = LOGITS * [[1.0], [1000.0]] + [[5.0], [0.0]]
    np.testing.assert_allclose(rank_mean(moved, ONE), rank_mean(LOGITS, ONE))
    shares = 1 / (1 + np.exp(-rank_mean(LOGITS, ONE)[:, 0]))
    np.testing.assert_allclose(shares, [(0.125 + 0.625) / 2, (0.625 + 0.125) / 2, 0.375, 0.875])


def test_rank_mean_keeps_ties_and_ranks_within_groups():
    tied = rank_mean(np.array([1.0, 1.0, 2.0])[:, None, None], np.zeros(3, int))
    assert tied[0] == tied[1] < tied[2]
    shifted = LOGITS + np.array([0, 0, 100, 100])[:, None, None]
    groups = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(rank_mean(shifted, groups), rank_mean(LOGITS, groups))


EVERY_RULE = [(rule, outputs) for outputs in (1, 3) for rule in rules_for(max(2, outputs)).values()]


def test_ranks_are_offered_for_two_classes_only():
    """Ranks within a class forget how common it is: the most probable class would be another."""
    assert set(rules_for(2)) == set(RULES) and set(rules_for(3)) == {"logit_mean"}


@pytest.mark.parametrize(("rule", "outputs"), EVERY_RULE)
def test_every_rule_is_finite_blind_to_the_order_of_rows_and_members_and_keeps_agreement(rule, outputs):
    generator = np.random.default_rng(0)
    logits, groups = generator.normal(size=(30, 3, outputs)), generator.integers(0, 2, 30)
    blended = rule(logits, groups)
    assert blended.shape == (30, outputs) and np.isfinite(blended).all()
    order = generator.permutation(30)
    np.testing.assert_allclose(rule(logits[order][:, ::-1], groups[order]), blended[order])
    alone = rule(np.repeat(logits[:, :1], 3, axis=1), np.zeros(30, int))
    assert (np.argsort(alone, axis=0) == np.argsort(logits[:, 0], axis=0)).all()
    assert (alone.argmax(axis=1) == logits[:, 0].argmax(axis=1)).all()
