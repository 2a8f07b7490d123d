from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pandas as pd
import pytest

from histoblend.evaluation.auc import pooled_auc, ranks_within_folds
from histoblend.evaluation.delong import delong, paired_test
from histoblend.evaluation.uncertainty import (
    Ground,
    Interval,
    differences,
    estimates,
    ground_of,
    prediction_interval,
)


def drawn(slides: int, seed: int = 0, members: int = 3, each: int = 30) -> tuple[Ground, np.ndarray]:
    """Patches of slides that differ in prevalence and level, in 5 folds; members share most of their noise."""
    generator = np.random.default_rng(seed)
    slide = np.repeat(np.arange(slides), each)
    labels = (generator.random(len(slide)) < generator.beta(1, 1, slides)[slide]).astype(np.int64)
    common = 1.8 * labels + 0.5 * generator.normal(size=slides)[slide] + generator.normal(size=len(slide))
    own = 0.4 * generator.normal(size=(slides, members))[slide] + 0.3 * generator.normal(
        size=(len(slide), members)
    )
    return Ground(labels, slide % 5, slide, "slides"), (common[:, None] + own)[:, :, None]


def test_estimates_are_the_pooled_auc_within_its_interval():
    ground, logits = drawn(50)
    for place, estimate in enumerate(estimates(ground, logits)):
        assert estimate.auc == pytest.approx(pooled_auc(ground.labels, logits[:, place], ground.folds))
        interval = estimate.interval
        assert 0.5 < interval.low < estimate.auc < interval.high < 1
        assert estimate.auc - interval.low > interval.high - estimate.auc  # askew, as AUCs are
        assert (interval.method, interval.clusters, interval.level) == ("slide bootstrap", 50, 0.95)
        assert interval.warning is None


@pytest.mark.parametrize("slides", ["slides", None])
def test_neither_the_order_of_rows_nor_the_call_changes_anything(slides: str | None):
    ground, logits = drawn(12)
    ground = replace(
        ground, slides=np.array([f"s{slide:02d}" for slide in ground.slides]) if slides else None
    )
    order = np.random.default_rng(1).permutation(len(logits))
    mixed = Ground(
        ground.labels[order], ground.folds[order], ground.slides[order] if slides else None, "slides"
    )
    for first, second in zip(
        differences(ground, logits, 1), differences(mixed, logits[order], 1), strict=True
    ):
        assert first.interval.standard_error == pytest.approx(second.interval.standard_error, rel=1e-6)
        assert (first.gain, first.p_value) == pytest.approx((second.gain, second.p_value), rel=1e-6)
    assert differences(ground, logits, 1) == differences(ground, logits, 1)
    assert estimates(ground, logits) == estimates(ground, logits)


def test_differences_are_paired():
    ground, logits = drawn(40, seed=2)
    single = estimates(ground, logits)
    for place, found in enumerate(differences(ground, logits, 0)):
        assert found.gain == pytest.approx(single[place].auc - single[0].auc)
        apart = np.hypot(single[place].interval.standard_error, single[0].interval.standard_error)
        assert found.interval.standard_error < 0.8 * apart
        assert (found.p_value < 0.05) == (found.interval.low > 0 or found.interval.high < 0)
    swapped = differences(ground, logits, 1)[0]
    assert swapped.gain == pytest.approx(-differences(ground, logits, 0)[1].gain)
    assert swapped.p_value == pytest.approx(differences(ground, logits, 0)[1].p_value)


@pytest.mark.parametrize("known", [True, False])
def test_a_member_and_one_that_predicts_alike_do_not_differ(known: bool):
    ground, logits = drawn(10)
    ground = ground if known else replace(ground, slides=None, clusters_are="patches")
    logits[:, 1] = 2 * logits[:, 0] + 1
    for found in differences(ground, logits, 0)[:2]:
        assert (found.gain, found.p_value, found.interval.standard_error) == (0.0, 1.0, 0.0)
        assert (found.interval.low, found.interval.high) == (0.0, 0.0)


def test_slides_that_hold_patches_alike_widen_the_interval_of_patches():
    ground, logits = drawn(30)
    patches = replace(ground, slides=None, clusters_are="patches")
    alone, whole = estimates(patches, logits)[0].interval, estimates(ground, logits)[0].interval
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)
    assert alone.method == "DeLong"
    assert alone.clusters is None
    assert "not" in alone.warning
    assert "too short" in alone.warning


def test_without_slides_it_is_delong_on_ranks_within_folds():
    ground, logits = drawn(10)
    patches = replace(ground, slides=None, clusters_are="patches")
    ranks = np.stack([ranks_within_folds(column, ground.folds) for column in logits[:, :, 0].T], axis=1)
    variances = np.diag(delong(ground.labels, ranks)[1])
    assert [found.interval.standard_error for found in estimates(patches, logits)] == pytest.approx(
        np.sqrt(variances).tolist()
    )
    expected = paired_test(ground.labels, ranks[:, 2], ranks[:, 0])
    found = differences(patches, logits, 0)[2]
    assert (found.gain, found.p_value) == pytest.approx((expected.gain, expected.p_value))


def test_few_clusters_and_pseudo_slides_are_spoken_of():
    ground, logits = drawn(39)
    assert "39 slides only" in estimates(ground, logits)[0].interval.warning
    pseudo = estimates(replace(ground, clusters_are="pseudo-slides"), logits)[0].interval
    assert "pseudo-slides" in pseudo.method
    assert "stand in for slides" in pseudo.warning
    assert estimates(*drawn(60))[0].interval.warning is None


def test_many_slides_of_which_few_decide_are_spoken_of():
    ground, logits = drawn(60)
    small = (ground.slides >= 4) & (np.arange(len(logits)) % 15 > 0)
    rows = np.flatnonzero(~small)
    logits[ground.slides == 0] *= -1
    few = Ground(ground.labels[rows], ground.folds[rows], ground.slides[rows], "slides")
    assert "60 slides a few decide" in estimates(few, logits[rows])[0].interval.warning


def test_no_interval_is_given_where_nothing_can_be_said():
    few, logits = drawn(4)
    ground, all_logits = drawn(20)
    lonely = replace(ground, labels=np.where(ground.slides < 2, ground.labels, 0))
    perfect = (ground.labels + 0.01 * np.arange(len(ground.labels)) / len(ground.labels))[:, None, None]
    balanced = replace(ground, folds=np.zeros(len(ground.labels), np.int64))
    for case, scores, said in (
        (few, logits, "4 slides only: below 5"),
        (*drawn(1), "1 slides only: below 5"),
        (lonely, all_logits, "All patches of class 1 lie in 2 of 20 slides"),
        (balanced, np.repeat(perfect, 3, axis=1), "all pairs are in one order"),
    ):
        interval = estimates(case, scores)[0].interval
        assert said in interval.warning
        assert np.isnan([interval.low, interval.high, interval.standard_error]).all()
        assert np.isnan(prediction_interval(case, scores[:, 0], 10).low)
    assert np.isnan(differences(few, logits, 0)[1].p_value)
    assert differences(few, logits, 0)[0].p_value == 1.0


def test_resamples_without_a_class_are_counted():
    ground, logits = drawn(20)
    rare = replace(ground, labels=np.where(ground.slides < 4, ground.labels, 0))
    assert "A class was missing from" in estimates(rare, logits)[0].interval.warning


def test_a_prediction_is_wider_than_an_estimate_and_narrows_with_more_new_slides():
    ground, logits = drawn(40)
    estimate = estimates(ground, logits)[0].interval
    widths = [
        found.high - found.low
        for found in (prediction_interval(ground, logits[:, 0], count) for count in (10, 40, 100_000))
    ]
    assert widths[0] > widths[1] > widths[2]
    assert widths[1] == pytest.approx(np.sqrt(2) * (estimate.high - estimate.low), rel=0.15)
    assert widths[2] == pytest.approx(estimate.high - estimate.low, rel=0.1)
    assert "10 new slides" in prediction_interval(ground, logits[:, 0], 10).method
    with pytest.raises(ValueError, match="one or more"):
        prediction_interval(ground, logits[:, 0], 0)


def test_patches_repeated_change_no_interval():
    """12 slides told apart nearly without a fault: resamples often are, whatever the number of their patches."""
    ground, logits = drawn(12)
    ground = replace(ground, folds=np.zeros_like(ground.folds))
    logits = logits + 3.0 * ground.labels[:, None, None]
    once, thrice = (
        Ground(*(part.repeat(times) for part in (ground.labels, ground.folds, ground.slides)), "slides")
        for times in (1, 3)
    )
    first, second = estimates(once, logits)[0], estimates(thrice, logits.repeat(3, axis=0))[0]
    assert first.auc > 0.98
    assert (second.interval.low, second.interval.high) == pytest.approx(
        (first.interval.low, first.interval.high), abs=1e-6
    )
    cases = ((once, logits[:, 0]), (thrice, logits[:, 0].repeat(3, axis=0)))
    ahead = [prediction_interval(*case, 2) for case in cases]
    assert ahead[1].low == pytest.approx(ahead[0].low, abs=0.01)
    assert min(one.high for one in ahead) > 0.9999


def test_a_prediction_on_slides_that_lack_a_class_is_refused_in_words():
    ground, logits = drawn(20)
    pure = replace(ground, labels=(ground.slides % 2).astype(np.int64))
    found = prediction_interval(pure, logits[:, 0], 1)
    assert np.isnan(found.low)
    assert "missing from 2,000 of 2,000 draws of 1 slides" in found.warning
    some = prediction_interval(pure, logits[:, 0], 3)
    assert some.low < some.high
    assert "A class was missing" in some.warning


def test_a_prediction_without_slides_is_refused_in_words():
    ground, logits = drawn(10)
    found = prediction_interval(replace(ground, slides=None, clusters_are="patches"), logits[:, 0], 10)
    assert np.isnan(found.low)
    assert "No slide is known" in found.warning


def test_more_classes_than_two_have_intervals_of_their_mean():
    ground, _ = drawn(40)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, len(ground.labels))
    logits = generator.normal(size=(len(labels), 2, 3)) + np.eye(3)[labels][:, None]
    for case in (ground, replace(ground, slides=None, clusters_are="patches")):
        case = replace(case, labels=labels)
        found = estimates(case, logits)[0]
        assert found.auc == pytest.approx(pooled_auc(labels, logits[:, 0], ground.folds))
        assert found.interval.low < found.auc < found.interval.high
    binary, one = drawn(40)
    two = np.concatenate([np.zeros_like(one), one], axis=2)
    assert estimates(binary, two)[0].interval.low == pytest.approx(
        estimates(binary, one)[0].interval.low, abs=1e-3
    )


@pytest.mark.parametrize(
    ("policy", "clusters"), [("map", "slides"), ("stain-clusters", "pseudo-slides"), ("none", "patches")]
)
def test_the_ground_of_a_split_knows_what_its_slides_are(policy: str, clusters: str):
    folds = pd.DataFrame({"id": ["a", "b"], "label": [0, 1], "slide": ["x", "y"], "fold": [0, 1]})
    ground = ground_of(folds, policy)
    assert ground.clusters_are == clusters
    assert (ground.slides is None) == (policy == "none")
    assert ground.labels.tolist() == ground.folds.tolist() == [0, 1]


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """300 draws of 30 slides: a share of 95 % has a standard error of .013; DeLong on the same patches is far off."""
    truth, better = (found.auc for found in estimates(*drawn(3000, seed=10**6))[:2])
    held = {"slides": 0, "patches": 0, "difference": 0}
    for seed in range(300):
        ground, logits = drawn(30, seed)
        patches = replace(ground, slides=None, clusters_are="patches")
        held["slides"] += _holds(estimates(ground, logits[:, :1])[0].interval, truth)
        held["patches"] += _holds(estimates(patches, logits[:, :1])[0].interval, truth)
        held["difference"] += _holds(differences(ground, logits[:, :2], 0)[1].interval, better - truth)
    assert 0.91 < held["slides"] / 300 < 0.99
    assert 0.91 < held["difference"] / 300 < 0.995
    assert held["patches"] / 300 < 0.8


def _holds(interval: Interval, truth: float) -> bool:
    low, high = astuple(interval)[:2]
    return bool(low <= truth <= high)
