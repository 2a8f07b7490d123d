from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from histoblend.evaluation import slide_bootstrap
from histoblend.evaluation.auc import auc, class_auc
from histoblend.evaluation.cluster_interval import (
    effective_clusters,
    freedom,
    on_logit_scale,
    prediction_limits,
    spread,
    two_sided,
)
from histoblend.evaluation.slide_bootstrap import (
    clusters_of,
    resample,
    resampled_aucs,
    slide_counts,
    slide_numbers,
)

SLIDES = 12


def patches(seed: int = 0, count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    slides = generator.integers(0, SLIDES, count)
    labels = (generator.random(count) < 0.1 + 0.06 * slides).astype(np.int64)
    return labels, np.round(generator.normal(labels, 1.0), 1), slides


@pytest.mark.parametrize("most_in_matrix", [2500, 1])
def test_each_resample_has_the_auc_of_its_patches_repeated(most_in_matrix: int, monkeypatch):
    monkeypatch.setattr(slide_bootstrap, "MOST_IN_MATRIX", most_in_matrix)
    monkeypatch.setattr(slide_bootstrap, "AT_ONCE", 7)
    labels, scores, slides = patches()
    drawn = slide_counts(SLIDES, resamples=20)
    found = resampled_aucs(labels, scores, slides, drawn)
    for value, counts in zip(found, drawn, strict=True):
        times = counts[slides]
        assert value == pytest.approx(auc(labels.repeat(times), scores.repeat(times)), abs=1e-7)


@pytest.mark.parametrize("most_in_matrix", [2500, 1])
def test_a_resample_without_a_class_is_nan(most_in_matrix: int, monkeypatch):
    monkeypatch.setattr(slide_bootstrap, "MOST_IN_MATRIX", most_in_matrix)
    labels, slides = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    found = resampled_aucs(labels, np.arange(4.0), slides, np.array([[1, 1, 1], [3, 0, 0], [0, 0, 3]]))
    np.testing.assert_array_equal(found, [1.0, np.nan, np.nan])


def test_slides_are_drawn_with_replacement_and_the_same_every_time():
    drawn = slide_counts(9, resamples=4000)
    assert (drawn.sum(axis=1) == 9).all()
    np.testing.assert_array_equal(drawn, slide_counts(9, resamples=4000))
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(drawn.var(axis=0), 8 / 9, atol=0.1)
    assert (slide_counts(9, resamples=3, size=70_000).sum(axis=1) == 70_000).all()


def test_slides_of_any_name_are_numbered_whatever_the_order_of_rows():
    names = np.array(["b", 3, ("x", 1), "b", 2.5, 3], dtype=object)
    numbers, count = slide_numbers(names)
    assert count == 4
    order = np.array([3, 5, 0, 2, 1, 4])
    np.testing.assert_array_equal(slide_numbers(names[order])[0], numbers[order])
    for missing in (None, float("nan")):
        with pytest.raises(ValueError, match="no slide"):
            slide_numbers(np.array(["a", missing], dtype=object))


def test_several_classes_are_the_mean_of_one_against_the_rest():
    generator = np.random.default_rng(0)
    labels, slides = generator.integers(0, 3, 200), generator.integers(0, SLIDES, 200)
    scores = generator.normal(size=(200, 3)) + np.eye(3)[labels]
    clusters = clusters_of(slides)
    found = resample(labels, scores, clusters)
    assert found.auc == pytest.approx(class_auc(labels, scores))
    times = clusters.drawn[5][clusters.numbers]
    expected = class_auc(labels.repeat(times), scores.repeat(times, axis=0))
    assert found.draws[5] == pytest.approx(expected, abs=1e-7)


def test_influences_have_the_spread_of_the_resamples():
    labels, scores, slides = patches(1, count=6000)
    found = resample(labels, scores[:, None], clusters_of(slides))
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)
    assert np.sqrt(np.square(found.influence).sum()) == pytest.approx(found.draws.std(), rel=0.1)


def test_effective_clusters_of_known_influences():
    assert effective_clusters(np.array([0.1, -0.1, 0.1, -0.1])) == pytest.approx(4)
    assert effective_clusters(np.array([1e-3, 0.0, 0.0])) == pytest.approx(1)
    assert effective_clusters(np.zeros(3)) == 0
    assert effective_clusters(np.random.default_rng(0).normal(size=30_000)) == pytest.approx(10_000, rel=0.05)
    assert (freedom(np.ones(5)), freedom(np.zeros(5))) == (4.0, 1.0)


def test_spread_leaves_out_what_is_undefined_and_widens_for_few_clusters():
    draws = np.array([0.9, 0.8, np.nan, 0.7])
    assert spread(draws, 5) == pytest.approx(0.1 * np.sqrt(5 / 4))
    bounded = on_logit_scale(np.array([0.0, 1.0, 0.5, np.nan]), 0.9, 10)
    np.testing.assert_allclose(expit(bounded), [0.09, 0.99, 0.5, np.nan])


def test_new_slides_ranked_without_a_fault_leave_the_upper_limit_open():
    generator = np.random.default_rng(0)
    seen = logit(0.95) + 0.3 * generator.normal(size=2000)
    ahead = logit(0.95) + 0.5 * generator.normal(size=2000)
    bounded = prediction_limits(0.95, seen, ahead, 30.0, 40)
    opened = prediction_limits(0.95, seen, np.where(np.arange(2000) < 200, np.inf, ahead), 30.0, 40)
    assert bounded[1] < opened[1] == 1.0
    assert 0 < opened[0] == pytest.approx(bounded[0], abs=0.005)


def test_p_values_of_what_does_not_vary():
    assert two_sided(0.0, 0.0, 4.0) == 1.0
    assert np.isnan(two_sided(0.1, 0.0, 4.0))
    assert two_sided(2.776445, 1.0, 4.0) == pytest.approx(0.05)
    assert two_sided(-1.959964, 1.0, None) == pytest.approx(0.05)
