from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from histoblend.blending.decision import decide
from histoblend.blending.mixture import Mixture
from histoblend.blending.nested_audit import CrossFit, Verdict, nested_audit
from histoblend.blending.rules import RULES, rules_for
from histoblend.blending.training import Training
from histoblend.evaluation.uncertainty import Difference, Ground, Interval

EQUAL = CrossFit(Mixture(np.array([0.5, 0.5])), {}, np.empty((0, 1)), np.empty((0, 1)))


Row = tuple[str, float, float]  # rule, gain, standard error


def verdict(row: Row, clusters: int | None = 60, clusters_are: str = "slides") -> Verdict:
    rule, gain, error = row
    interval = Interval(gain - 2 * error, gain + 2 * error, error, 0.95, "a method", clusters, None)
    return Verdict(rule, RULES[rule], EQUAL, 0.9, 0.9 + gain, Difference(gain, interval, 0.5), clusters_are)


def decided(*others: Row, asked: str = "auto", clusters: int | None = 60, clusters_are: str = "slides"):
    rows = [("logit_mean", 0.0, 0.0), *others]
    return decide([verdict(row, clusters, clusters_are) for row in rows], asked)


def test_a_gain_below_twice_its_standard_error_is_noise():
    found = decided(("rank_mean", -0.0010, 0.0001), ("greedy", 0.0012, 0.0010))
    assert found.rule == "logit_mean"
    assert found.reason == (
        "greedy gains .0012 over the equal mean, less than twice its standard error (.0010): noise; "
        "the equal mean stays"
    )


def test_a_gain_above_it_is_taken():
    found = decided(("rank_mean", 0.0001, 0.0002), ("stacking_l2", 0.0105, 0.0021))
    assert found.rule == "stacking_l2"
    assert found.reason == (
        "stacking l2 gains .0105 over the equal mean, more than twice its standard error (.0021)"
    )


def test_of_several_that_pass_the_surest_gain_is_taken():
    """Neither the steadiest crumb nor the largest gain, which is the noisiest too."""
    crumb, sure, wild = ("rank_mean", 0.0003, 0.0001), ("greedy", 0.009, 0.001), ("stacking_l2", 0.010, 0.004)
    found = decided(crumb, sure, wild)
    assert found.rule == "greedy"
    assert found.reason.endswith("; so do stacking l2, rank mean, but its gain is the surest")


def test_where_no_rule_gains_the_equal_mean_stays():
    found = decided(("rank_mean", -0.01, 0.001), ("greedy", 0.0, 0.0))
    assert found.rule == "logit_mean"
    assert found.reason == "no rule gains .0002 or more over the equal mean; the equal mean stays"


@pytest.mark.parametrize(("gain", "rule"), [(0.00019, "logit_mean"), (0.00021, "rank_mean")])
def test_a_gain_too_small_to_be_seen_on_a_leaderboard_is_none(gain: float, rule: str):
    found = decided(("rank_mean", gain, 0.00001))
    assert (found.rule, "no rule gains .0002" in found.reason) == (rule, rule == "logit_mean")


def test_a_small_gain_and_its_error_are_told_apart_in_words():
    found = decided(("greedy", 0.00032, 0.000144))
    assert (
        found.reason == "greedy gains .00032 over the equal mean, more than twice its standard error (.00014)"
    )


def test_between_pseudo_slides_a_gain_has_to_exceed_four_standard_errors():
    """Clusters of stain may cut slides: then gains are too high and their errors too small."""
    found = decided(("greedy", 0.0039, 0.001), ("rank_mean", -0.01, 0.001), clusters_are="pseudo-slides")
    assert found.rule == "logit_mean"
    assert (
        "greedy gains .0039 over the equal mean, less than 4 times its standard error (.0010)" in found.reason
    )
    assert decided(("greedy", 0.0039, 0.001)).rule == "greedy"
    found = decided(("greedy", 0.0041, 0.001), clusters_are="pseudo-slides")
    assert found.rule == "greedy" and "more than 4 times its standard error (.0010)" in found.reason


def test_where_no_slide_is_known_the_equal_mean_stays_however_sure_a_gain_looks():
    found = decided(("greedy", 0.05, 0.001), clusters=None, clusters_are="patches")
    assert found.rule == "logit_mean"
    assert found.reason == (
        "no slide is known, so folds share slides and every gain looks surer than it is; the equal mean stays"
    )


def test_a_gain_whose_interval_holds_0_does_not_pass_however_small_its_standard_error():
    wide = Interval(-0.0002, 0.0012, 0.0002, 0.95, "slide bootstrap", 10, None)
    greedy = replace(verdict(("greedy", 0.0005, 0.0002)), difference=Difference(0.0005, wide, 0.12))
    found = decide([verdict(("logit_mean", 0.0, 0.0)), greedy], "auto")
    assert found.rule == "logit_mean"
    assert "more than twice its standard error (.00020), but so few clusters" in found.reason
    assert "the 95 % interval of the gain still holds 0" in found.reason


@pytest.mark.parametrize(
    ("error", "clusters", "reason"),
    [
        (math.nan, 60, "the standard error of the gain of greedy cannot be told; the equal mean stays"),
        (0.001, 6, "6 clusters are too few to tell a gain from noise; the equal mean stays"),
    ],
)
def test_what_cannot_be_told_from_noise_is_not_taken(error: float, clusters: int, reason: str):
    found = decided(("greedy", 0.05, error), clusters=clusters)
    assert (found.rule, found.reason) == ("logit_mean", reason)


def test_weights_that_were_given_are_never_taken_by_themselves():
    assert decided(("weighted", 0.05, 0.001), ("rank_mean", -0.01, 0.001)).rule == "logit_mean"
    assert decided(("weighted", 0.05, 0.001), asked="weighted").rule == "weighted"


def test_a_rule_that_is_asked_for_is_taken_and_what_auto_would_do_is_said():
    found = decided(("greedy", 0.0012, 0.0010), asked="greedy")
    assert found.rule == "greedy"
    assert found.reason.startswith(
        "asked for by blend.rule; auto would take the equal mean: greedy gains .0012"
    )
    found = decided(("greedy", 0.0112, 0.0010), asked="greedy")
    assert found.reason.startswith("asked for by blend.rule; auto takes it too: greedy gains .0112")


def test_one_member_leaves_nothing_to_decide():
    alone = verdict(("logit_mean", 0.0, 0.0))
    alone = replace(alone, fit=replace(EQUAL, learned=Mixture(np.ones(1))))
    assert decide([alone], "auto").reason == "one member: every rule ranks as it does"


def audited(worth: list[float], seed: int, clusters_are: str = "slides") -> str:
    generator = np.random.default_rng(seed)
    slides = np.arange(1200) % 60
    labels, folds = generator.integers(0, 2, 1200), slides % 5
    noise = generator.normal(size=(1200, 1, 1)) + generator.normal(size=(1200, len(worth), 1))
    logits = 2 * labels[:, None, None] * np.array(worth)[:, None] + noise
    names = tuple(f"m{place}" for place in range(len(worth)))
    rules = {name: row for name, row in rules_for(2).items() if name != "weighted"}
    ground = Ground(labels, folds, None if clusters_are == "patches" else slides, clusters_are)
    return decide(nested_audit(Training(names, logits, labels, folds), ground, rules), "auto").rule


def test_without_slides_auto_stays_however_the_members_differ():
    assert audited([1.5, 0.0, 0.0, 0.0], seed=0, clusters_are="patches") == "logit_mean"


def test_auto_stays_with_exchangeable_members_and_leaves_the_mean_where_members_truly_differ():
    assert [audited([1.0] * 4, seed) for seed in range(3)] == ["logit_mean"] * 3
    assert audited([1.5, 0.0, 0.0, 0.0], seed=0) in {"greedy", "hill_climbing", "stacking_l2",
                                                     "stacking_nonnegative", "best_single"}  # fmt: skip
