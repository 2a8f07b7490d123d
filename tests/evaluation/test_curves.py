"""Curves thin enough to draw that are still the curve, and bands that hold it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

from histoblend.evaluation.auc import auc, pooled_auc, ranks_within_folds
from histoblend.evaluation.curves import (
    GRID,
    POINTS,
    pooled_curves,
    precision_at_recalls,
    roc_points,
    thinned,
)
from histoblend.evaluation.uncertainty import Ground, estimates


def judged(
    count: int = 6000, slides: int = 30, seed: int = 0, effect: float = 0.8
) -> tuple[Ground, np.ndarray]:
    generator = np.random.default_rng(seed)
    slide = generator.integers(0, slides, count)
    labels = (generator.random(count) < 0.4).astype(np.int64)
    logits = generator.normal(1.8 * labels, 1) + generator.normal(0, effect, slides)[slide]
    return Ground(labels, slide % 5, slide.astype(str).astype(object), "slides"), logits[:, None]


def test_areas_are_those_of_all_patches_and_the_thin_curve_has_nearly_the_same():
    ground, logits = judged()
    found = pooled_curves(ground, logits)[1]
    ranks = ranks_within_folds(logits[:, 0], ground.folds)
    assert found.roc.area == pytest.approx(pooled_auc(ground.labels, logits, ground.folds), abs=1e-12)
    assert found.precision_recall.area == pytest.approx(
        average_precision_score(ground.labels, ranks), abs=1e-12
    )
    assert len(found.roc.x) <= POINTS and len(found.precision_recall.x) <= POINTS
    assert np.trapezoid(found.roc.y, found.roc.x) == pytest.approx(found.roc.area, abs=1e-4)
    assert found.share == ground.labels.mean()


def test_no_point_of_the_full_curve_is_far_from_the_thin_one():
    ground, logits = judged()
    found, ranks = pooled_curves(ground, logits)[1], ranks_within_folds(logits[:, 0], ground.folds)
    false, true, _ = roc_curve(ground.labels, ranks)
    assert np.abs(np.interp(false + true, found.roc.x + found.roc.y, found.roc.y) - true).max() < 1 / 200
    precision, recall, _ = precision_recall_curve(ground.labels, ranks)
    kept = found.precision_recall
    far = [np.hypot(kept.x - x, kept.y - y).min() for x, y in zip(recall[:-1], precision[:-1], strict=True)]
    assert max(far) < 1 / 100


def test_thinning_keeps_short_curves_whole_and_both_ends():
    x = np.array([0.0, 0.0, 0.5, 1.0])
    assert thinned(x, x**2).tolist() == [0, 2, 3]  # the second point lies on the first
    assert {0, 999} <= set(thinned(np.linspace(0, 1, 1000), np.zeros(1000), points=7).tolist())


def test_a_drawn_curve_is_the_one_of_scikit_learn():
    labels, scores = np.array([0, 0, 1, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8, 0.4, 0.4])
    false, true = roc_points(labels, scores)
    assert np.trapezoid(true, false) == pytest.approx(auc(labels, scores))


def test_bands_hold_the_curve_lie_within_the_axes_and_are_wider_where_patches_cluster():
    ground, logits = judged()
    alone = replace(ground, slides=None, clusters_are="patches")
    clustered, independent = pooled_curves(ground, logits)[1], pooled_curves(alone, logits)[1]
    for curve in (clustered.roc, clustered.precision_recall):
        assert np.all((curve.low >= 0) & (curve.low <= curve.high) & (curve.high <= 1))
    middle = np.interp(clustered.roc.grid, clustered.roc.x, clustered.roc.y)
    assert np.all((clustered.roc.low <= middle) & (middle <= clustered.roc.high))
    tenth = int(np.argmin(np.abs(clustered.roc.grid - 0.1)))
    width = [(one.roc.high - one.roc.low)[tenth] for one in (clustered, independent)]
    assert width[0] > 1.5 * width[1]
    assert (clustered.roc.method, clustered.roc.clusters) == ("bootstrap of slides", 30)
    assert (independent.roc.method, independent.roc.clusters) == ("bootstrap of patches", 6000)


def test_without_enough_slides_there_is_no_band_but_a_reason():
    ground, logits = judged(600)
    slide = np.asarray(ground.slides).astype(int)
    perfect = ground.labels[:, None] + 0.0
    for case, scores, said in (
        (replace(ground, slides=slide % 3), logits, "3 slides only"),
        (replace(ground, labels=np.where(slide < 2, ground.labels, 0)), logits, "lie in 2 of 30 slides"),
        (replace(ground, folds=np.zeros(600)), perfect, "All pairs are in one order"),
    ):
        found = pooled_curves(case, scores)[1]
        for curve in (found.roc, found.precision_recall):
            assert np.isnan([curve.low, curve.high]).all() and said in str(curve.warning)
    assert "30 slides only" in str(pooled_curves(ground, logits)[1].roc.warning)


def test_the_band_is_as_wide_as_few_deciding_slides_make_it():
    """Per standard error of a place the band reaches as far as the interval of the AUC does."""
    ground, logits = judged(2000, effect=0.0)
    skewed = np.where(np.asarray(ground.slides) == "3", -logits[:, 0], logits[:, 0])[:, None]
    reaches = []
    for scores in (logits, skewed):
        curve = pooled_curves(ground, scores)[1].roc
        estimate = estimates(ground, scores[:, None])[0].interval
        reaches.append((curve.high - curve.low).mean() / estimate.standard_error)
    assert reaches[1] > 1.7 * reaches[0]


def test_the_band_of_independent_patches_is_as_wide_as_binomial_theory_has_it():
    """At a fixed threshold the true positive rate is a share of positives; the threshold's own noise adds its slope."""
    ground, logits = judged(effect=0.0)
    alone = replace(ground, folds=np.zeros_like(ground.folds), slides=None, clusters_are="patches")
    curve = pooled_curves(alone, logits)[1].roc
    place = 40  # false positive rate .2
    rate, slope = curve.grid[place], np.gradient(np.interp(curve.grid, curve.x, curve.y), curve.grid)[place]
    true = np.interp(rate, curve.x, curve.y)
    positive = ground.labels.sum()
    variance = true * (1 - true) / positive + slope**2 * rate * (1 - rate) / (len(ground.labels) - positive)
    assert (curve.high - curve.low)[place] == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.15)


def test_precision_is_read_at_the_first_threshold_that_reaches_a_recall():
    recall, precision = np.array([0.25, 0.5, 0.5, 1.0]), np.array([1.0, 0.9, 0.6, 0.4])
    found = precision_at_recalls(recall, precision)
    assert found[GRID <= 0.25].tolist() == [1.0] * 51
    assert set(found[(GRID > 0.25) & (GRID <= 0.5)]) == {0.9} and set(found[GRID > 0.5]) == {0.4}
    ground, logits = judged()
    curve = pooled_curves(ground, logits)[1].precision_recall
    inside = (curve.low > 0) & (curve.high < 1)
    middle = precision_at_recalls(curve.x, curve.y)
    np.testing.assert_allclose(((curve.low + curve.high) / 2)[inside], middle[inside])


def test_classes_have_a_curve_each_against_the_rest():
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 3
    logits = generator.normal(size=(300, 3)) + 1.5 * np.eye(3)[labels]
    found = pooled_curves(Ground(labels, np.zeros(300), None, "patches"), logits)
    assert list(found) == [0, 1, 2]
    areas = [curves.roc.area for curves in found.values()]
    assert np.mean(areas) == pytest.approx(pooled_auc(labels, logits, np.zeros(300)))
