from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histoblend.blending.diversity import gates
from histoblend.blending.nested_audit import cross_fit, nested_audit
from histoblend.blending.rules import RULES, rules_for
from histoblend.blending.training import Training
from histoblend.evaluation.auc import pooled_auc
from histoblend.evaluation.uncertainty import Ground


def drawn(worth: list[float], rows: int = 300, seed: int = 0) -> Training:
    """Members of this worth on five folds."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, rows)
    logits = labels[:, None, None] * np.array(worth)[:, None] + generator.normal(size=(rows, len(worth), 1))
    names = tuple(f"member{place}" for place in range(len(worth)))
    return Training(names, logits, labels, np.arange(rows) % 5, dict.fromkeys(names, 1.0))


def ground(training: Training) -> Ground:
    slides = np.arange(len(training.labels)) // 5 % 60 * 5 + training.groups
    return Ground(training.labels, training.groups, slides, "slides")


def gated_by_fold_2() -> Training:
    """Two members rank nearly alike. The first is the better one by its lead on fold 2, elsewhere the last is."""
    training = drawn([1.0, 0.8])
    best, other = training.logits[:, 0], training.logits[:, 1]
    signs = 2.0 * training.labels[:, None] - 1
    lead = np.where(training.groups == 2, 0.3, -0.02)[:, None] * signs
    logits = np.stack([best + lead, other, best], axis=1)
    names = ("ahead", "other", "steady")
    return Training(names, logits, training.labels, training.groups, dict.fromkeys(names, 1.0))


def turned(training: Training) -> Training:
    """The same with the labels of fold 2 turned round."""
    labels = np.where(training.groups == 2, 1 - training.labels, training.labels)
    return replace(training, labels=labels)


@pytest.mark.parametrize("rule", RULES)
def test_no_label_of_the_scored_fold_touches_its_weights(rule: str):
    """The labels of fold 2 are turned round: its weights and its blended logits stay, bit for bit."""
    training = drawn([0.2, 0.5, 0.8, 1.0])
    before, after = (cross_fit(one, RULES[rule]) for one in (training, turned(training)))
    np.testing.assert_array_equal(after.by_fold[2].weights, before.by_fold[2].weights)
    scored = training.groups == 2
    np.testing.assert_array_equal(after.cross_fitted[scored], before.cross_fitted[scored])
    if RULES[rule].learns:
        assert any(
            (after.by_fold[fold].weights != before.by_fold[fold].weights).any() for fold in (0, 1, 3, 4)
        )


@pytest.mark.parametrize("rule", RULES)
def test_nor_does_one_close_the_gate_that_its_members_pass(rule: str):
    training = gated_by_fold_2()
    fits = []
    for one, whole in ((training, [0, 1]), (turned(training), [1, 2])):
        closed = gates(one, 0.9)
        assert (closed.whole.kept.tolist(), closed.without[2].kept.tolist()) == (whole, [1, 2])
        fits.append(cross_fit(one, RULES[rule], closed))
    before, after = fits
    assert before.by_fold[2].weights[0] == 0 or rule == "weighted"
    np.testing.assert_array_equal(after.by_fold[2].weights, before.by_fold[2].weights)
    scored = training.groups == 2
    np.testing.assert_array_equal(after.cross_fitted[scored], before.cross_fitted[scored])


def test_nor_does_its_prediction_tell_on_the_others_labels_alone():
    """Fold 2 is scored by what was learned on the others, whatever its own logits were."""
    training = drawn([0.2, 0.5, 0.8, 1.0])
    changed = replace(training, logits=np.where((training.groups == 2)[:, None, None], 0.0, training.logits))
    for rule in ("greedy", "stacking_l2"):
        before, after = (cross_fit(one, RULES[rule]) for one in (training, changed))
        np.testing.assert_array_equal(after.by_fold[2].weights, before.by_fold[2].weights)


@pytest.mark.parametrize("rule", ["greedy", "hill_climbing", "stacking_l2", "best_single"])
def test_of_members_that_are_noise_the_audit_finds_the_optimism(rule: str):
    """Learned and scored on the same rows noise looks better than chance; cross-fitted it does not."""
    areas = []
    for seed in range(8):
        noise = drawn([0.0] * 5, rows=200, seed=seed)
        fit = cross_fit(noise, RULES[rule])
        areas.append(
            [pooled_auc(noise.labels, one, noise.groups) for one in (fit.in_sample, fit.cross_fitted)]
        )
    in_sample, cross_fitted = np.mean(areas, axis=0)
    assert in_sample > 0.54
    assert cross_fitted == pytest.approx(0.5, abs=0.03)


def test_a_verdict_for_every_rule_beside_the_equal_mean():
    training = drawn([0.4, 0.8, 1.2])
    told: list[tuple[int, int]] = []
    verdicts = nested_audit(
        training, ground(training), rules_for(2), count=lambda done, of: told.append((done, of))
    )
    assert [one.rule for one in verdicts] == list(RULES) and told[-1] == (10, 10)
    reference, by_rule = verdicts[0], {one.rule: one for one in verdicts}
    assert reference.difference.gain == 0 and reference.optimism == 0
    for one in verdicts:
        area = pooled_auc(training.labels, one.fit.cross_fitted, training.groups)
        assert one.auc_cross_fitted == pytest.approx(area, abs=1e-12)
        assert one.difference.gain == pytest.approx(area - reference.auc_cross_fitted, abs=1e-12)
        assert (one.optimism == 0) == (not RULES[one.rule].learns) or one.rule == "best_single"
    np.testing.assert_array_equal(by_rule["weighted"].fit.cross_fitted, reference.fit.cross_fitted)


def test_a_gate_is_closed_by_the_training_folds_alone_and_for_every_rule():
    training = gated_by_fold_2()
    closed = gates(training, 0.9)
    for rule in ("logit_mean", "greedy", "stacking_l2"):
        fit = cross_fit(training, RULES[rule], closed)
        assert fit.learns and fit.learned.weights[2] == 0
        assert [int(np.flatnonzero(one.weights == 0)[0]) for one in fit.by_fold.values()] == [2, 2, 0, 2, 2]
    np.testing.assert_array_equal(
        cross_fit(training, RULES["logit_mean"], closed).learned.weights, [0.5, 0.5, 0]
    )


def test_weights_that_were_given_pass_no_gate():
    training = gated_by_fold_2()
    fit = cross_fit(training, RULES["weighted"], gates(training, 0.9))
    np.testing.assert_allclose(fit.learned.weights, [1 / 3] * 3)
    assert not fit.learns


def test_a_verdict_says_what_its_error_was_found_between():
    training = drawn([0.4, 0.8], rows=100)
    rules = {"logit_mean": RULES["logit_mean"]}
    for words in ("slides", "pseudo-slides"):
        (found,) = nested_audit(training, replace(ground(training), clusters_are=words), rules)
        assert found.clusters_are == words
