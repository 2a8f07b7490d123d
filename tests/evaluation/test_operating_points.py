"""Sensitivity and specificity at thresholds that were chosen on other folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest

from histoblend.errors import ArtifactRefusal, ConfigRefusal
from histoblend.evaluation.operating_points import ASKED, MEASURES, OperatingPoint, operating_points
from histoblend.evaluation.uncertainty import Ground


def judged(count: int = 3000, seed: int = 0) -> tuple[Ground, np.ndarray]:
    generator = np.random.default_rng(seed)
    slide = generator.integers(0, 50, count)
    labels = (generator.random(count) < 0.4).astype(np.int64)
    logits = generator.normal(2.5 * labels, 1) + generator.normal(0, 0.5, 50)[slide]
    return Ground(labels, slide % 5, slide.astype(object), "slides"), logits[:, None]


def at(ground: Ground, logits: np.ndarray, asked: str, at_least: float | None = None) -> OperatingPoint:
    found = operating_points(ground, logits)
    return next(one for one in found if (one.asked, one.at_least) == (asked, at_least))


@pytest.mark.parametrize(("asked", "at_least"), ASKED)
def test_what_is_reached_is_counted_by_hand_with_thresholds_of_the_other_folds(
    asked: str, at_least: float | None
):
    ground, logits = judged(600)
    found, scores = at(ground, logits, asked, at_least), expit(logits[:, 0])
    called = np.zeros(len(scores), bool)
    for fold in range(5):
        here, others = ground.folds == fold, ground.folds != fold
        positive, negative = scores[others & (ground.labels == 1)], scores[others & (ground.labels == 0)]
        options = np.append(np.unique(scores[others]), 1.0)
        sensitivity = np.array([(positive >= option).mean() for option in options])
        specificity = np.array([(negative < option).mean() for option in options])
        if asked == "sensitivity":
            wanted = options[sensitivity >= at_least].max()
        elif asked == "specificity":
            wanted = options[specificity >= at_least].min()
        else:
            wanted = options[::-1][np.argmax((sensitivity + specificity)[::-1])]
        assert found.thresholds_by_fold[fold] == pytest.approx(wanted, abs=1e-12)
        called |= here & (scores >= wanted - 1e-12)
    label = ground.labels == 1
    by_hand = (called[label].mean(), (~called)[~label].mean(), label[called].mean(), (~label)[~called].mean())
    for name, value in zip(MEASURES, by_hand, strict=True):
        assert found.measures[name].value == pytest.approx(value)


def test_labels_of_a_fold_have_no_say_in_its_threshold():
    ground, logits = judged(600)
    here = ground.folds == 3
    flipped = replace(ground, labels=np.where(here, 1 - ground.labels, ground.labels))
    before, after = (at(one, logits, "sensitivity", 0.95).thresholds_by_fold for one in (ground, flipped))
    assert after[3] == before[3] and after[0] != before[0]


def test_folds_of_another_scale_pay_for_it():
    """A threshold of the other folds does not fit a fold whose logits are shifted; its own would hide that."""
    ground, logits = judged()
    shifted = logits - 4.0 * (ground.folds == 0)[:, None]
    kept, lost = (
        at(ground, one, "sensitivity", 0.95).measures["sensitivity"].value for one in (logits, shifted)
    )
    assert kept == pytest.approx(0.95, abs=0.02) and lost < 0.85


def test_without_slides_the_interval_is_wilsons():
    ground, logits = judged()
    alone = replace(ground, slides=None, clusters_are="patches")
    found = at(alone, logits, "specificity", 0.9).measures["sensitivity"]
    positives = int(ground.labels.sum())
    expected = binomtest(round(found.value * positives), positives).proportion_ci(method="wilson")
    assert (
        found.interval is not None and found.interval.method == "Wilson" and found.interval.clusters is None
    )
    assert "too short" in str(found.interval.warning)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


def test_slides_widen_the_interval_and_few_of_them_are_told():
    ground, logits = judged()
    alone = replace(ground, slides=None, clusters_are="patches")
    few = replace(ground, slides=np.asarray(ground.slides) % 10)
    found = [
        at(one, logits, "sensitivity", 0.95).measures["specificity"].interval for one in (ground, alone, few)
    ]
    widths = [one.high - one.low for one in found if one is not None]
    assert widths[0] > 1.3 * widths[1]
    assert found[0] is not None and found[0].method == "slide bootstrap" and found[0].warning is None
    assert found[2] is not None and "10 slides only" in str(found[2].warning)


def test_few_slides_and_shares_without_a_fault_have_no_interval_but_a_reason():
    ground, logits = judged()
    slide, perfect = np.asarray(ground.slides).astype(int), 50.0 * ground.labels[:, None] - 25
    rare = replace(ground, labels=np.where(slide < 2, ground.labels, 0))
    for case, scores, said in (
        (replace(ground, slides=slide % 4), logits, "4 slides only: below 5"),
        (ground, perfect, "A share of 100 % has no interval"),
        (rare, logits, "lie in 2 of 50 slides"),
    ):
        interval = at(case, scores, "Youden").measures["specificity"].interval
        assert interval is not None and said in str(interval.warning)
        assert np.isnan([interval.low, interval.high, interval.standard_error]).all()
    pseudo = (
        at(replace(ground, clusters_are="pseudo-slides"), logits, "Youden").measures["specificity"].interval
    )
    assert pseudo is not None and "pseudo-slides" in pseudo.method and "stand in" in str(pseudo.warning)


def test_a_share_of_patches_of_two_slides_has_no_interval():
    """Only two slides hold a patch that is called positive."""
    ground, _ = judged()
    logits = np.where(np.isin(np.asarray(ground.slides).astype(int), (5, 6)), 9.0, 0.0) * ground.labels - 1
    found = at(ground, logits[:, None], "specificity", 0.99).measures["positive predictive value"].interval
    assert found is not None and "lie in 2 slides" in str(found.warning)


def test_a_share_of_nothing_is_no_number():
    """The most suspicious patch of each fold is a negative: at full specificity nothing is called positive."""
    ground = Ground(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), None, "patches")
    for one in (ground, replace(ground, slides=np.array([0, 1, 2, 3], object), clusters_are="slides")):
        found = at(one, np.array([[2.0], [1.0], [2.0], [1.0]]), "specificity", 0.99).measures
        assert found["specificity"].value == 1 and found["sensitivity"].value == 0
        assert np.isnan(found["positive predictive value"].value)
        assert found["positive predictive value"].interval is None


def test_what_has_no_operating_points_is_refused():
    ground, logits = judged(100)
    with pytest.raises(ConfigRefusal, match="two classes"):
        operating_points(ground, np.hstack([logits] * 3))
    with pytest.raises(ArtifactRefusal, match="Only fold 0"):
        operating_points(replace(ground, folds=np.zeros(100, int)), logits)
    with pytest.raises(ArtifactRefusal, match="class 0 only"):
        operating_points(replace(ground, labels=(ground.folds == 0).astype(int)), logits)
