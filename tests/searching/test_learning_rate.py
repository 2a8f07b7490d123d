"""Known answers of the range test's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from histoblend.searching.learning_rate import has_diverged, moving_average, rising_rates, smoothed, suggest


def valley(rates: np.ndarray) -> np.ndarray:
    """A loss that stands at 1, falls around 1e-3, is lowest at 1e-2 and climbs beyond."""
    place = np.log10(rates)
    return 1 - 0.6 / (1 + np.exp(-4 * (place + 3))) + np.maximum(0, place + 2) ** 2


def test_rates_rise_by_equal_ratios():
    rates = rising_rates(1e-4, 1.0, 5)
    np.testing.assert_allclose(rates, [1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def test_the_moving_average_is_corrected_for_its_start():
    np.testing.assert_allclose(moving_average([3.0, 3.0, 3.0]), 3.0)
    np.testing.assert_allclose(moving_average([1.0, 2.0], 0.5), [1.0, (0.25 + 1.0) / 0.75])


def test_smoothing_does_not_lag():
    ramp = np.arange(200.0) + 100
    middle = slice(60, 140)
    np.testing.assert_allclose(smoothed(list(ramp))[middle], ramp[middle], rtol=1e-3)
    assert (moving_average(ramp)[middle] < ramp[middle] - 8).all()  # one average alone does


def test_the_suggestion_lies_where_the_curve_falls_fastest_and_a_tenth_below_its_lowest():
    rates = rising_rates(1e-6, 1.0, 300)
    losses = valley(rates) + np.random.default_rng(0).normal(0, 0.002, 300)
    found = suggest(rates, list(losses))
    assert found is not None
    assert 3e-4 < found.steepest < 3e-3
    assert 4e-3 < found.lowest < 2.5e-2
    assert found.tenth == pytest.approx(found.lowest / 10)


@pytest.mark.parametrize("tail", [[float("nan")], [1e30, float("inf")], [1e4] * 3])
def test_an_explosion_at_the_end_moves_nothing_far(tail: list[float]):
    rates = rising_rates(1e-6, 1.0, 300)
    losses = [*valley(rates)[:280], *tail]
    calm, found = suggest(rates, list(valley(rates)[:280])), suggest(rates, losses)
    assert calm is not None and found is not None
    assert found.steepest == pytest.approx(calm.steepest, rel=0.2)
    assert found.lowest == pytest.approx(calm.lowest, rel=0.2)


@pytest.mark.parametrize("losses", [[0.7] * 100, list(np.linspace(0.7, 3, 100)), [0.7, 0.1], []])
def test_a_loss_that_never_fell_suggests_nothing(losses: list[float]):
    assert suggest(rising_rates(1e-6, 1, 100), losses) is None


def test_divergence_is_a_loss_that_is_no_number_or_several_times_the_lowest():
    assert has_diverged([0.7, float("nan")])
    assert not has_diverged([0.7] * 50 + [2.0])  # one bad batch
    assert has_diverged([0.7] * 50 + [9.0] * 10)
    assert not has_diverged([9.0, 0.1, 9.0])  # too few to tell
