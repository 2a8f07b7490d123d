from __future__ import annotations

import numpy as np

from histoblend.blending.decision import Decision
from histoblend.blending.inputs import Blended
from histoblend.blending.members import MemberLogits
from histoblend.blending.mixture import Mixture
from histoblend.blending.nested_audit import CrossFit, Verdict
from histoblend.blending.rules import RULES
from histoblend.blending.top_submissions import choose_finals
from histoblend.evaluation.uncertainty import Difference, Ground, Interval

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 2, 400)
SLIDES = np.arange(400) // 4 % 25 * 4 + np.arange(400) % 4
GROUND = Ground(LABELS, np.arange(400) % 4, SLIDES, "slides")
NOISE = GENERATOR.normal(size=(400, 1))
GOOD = LABELS[:, None] + NOISE
BAD = LABELS[:, None] + NOISE + 2 * GENERATOR.normal(size=(400, 1))
NOBODY = MemberLogits((), np.empty((400, 0, 1)), np.empty((200, 0, 1)))


def blend(rule: str, in_sample: np.ndarray, cross_fitted: np.ndarray) -> Blended:
    """A blend whose test predictions are its own; nothing but these and the cross-fitted ones should count."""
    interval = Interval(0.0, 0.0, 0.0, 0.95, "slide bootstrap", 100, None)
    fit = CrossFit(Mixture(np.ones(2) / 2), {}, in_sample, cross_fitted)
    verdict = Verdict(rule, RULES[rule], fit, 0.9, 0.8, Difference(0.0, interval, 1.0), "slides")
    return Blended(f"plan_{rule}", verdict, GENERATOR.normal(size=(200, 1)), interval)


def finals(*blends: Blended) -> list[str | None]:
    chosen = choose_finals(blends, NOBODY, Decision("logit_mean", "so it was decided"), GROUND)
    return [one.candidate.rule for one in chosen]


def test_a_rule_that_is_good_only_on_the_rows_it_learned_from_is_no_second_final():
    mean = blend("logit_mean", GOOD, GOOD)
    assert finals(mean, blend("greedy", GOOD, BAD)) == ["logit_mean"]
    assert finals(mean, blend("greedy", BAD, GOOD)) == ["logit_mean", "greedy"]


def test_nor_is_one_whose_weights_were_given():
    assert finals(blend("logit_mean", GOOD, GOOD), blend("weighted", GOOD, GOOD)) == ["logit_mean"]
