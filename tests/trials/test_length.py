"""The same wall time for every network."""

from __future__ import annotations

import pytest

from histoblend.trials.length import length_for


@pytest.mark.parametrize("rate", [0.5, 7.0, 26.0, 80.0, 350.0, 4000.0])
@pytest.mark.parametrize("minutes", [0.5, 4.0])
def test_training_takes_the_minutes_whatever_the_rate(rate: float, minutes: float):
    patches, batch = 2098, 32
    length = length_for(minutes, rate, patches, batch)
    images = length.epochs * length.samples_per_epoch
    assert length.samples_per_epoch % batch == 0
    wanted = rate * 60 * minutes
    assert images <= max(wanted, batch)
    assert images > wanted - batch * (length.epochs + 1)


def test_epochs_are_passes_over_the_patches():
    length = length_for(4.0, 80.0, 2098, 32)
    assert length.epochs == 9
    assert length.passes(2098) == pytest.approx(80 * 240 / 2098, abs=0.15)


def test_a_network_too_slow_for_one_pass_gets_a_shorter_epoch_and_at_least_a_step():
    assert length_for(1.0, 8.0, 2098, 32).epochs == 1
    assert length_for(1.0, 8.0, 2098, 32).samples_per_epoch == 480
    slowest = length_for(0.1, 0.01, 2098, 32)
    assert (slowest.epochs, slowest.samples_per_epoch) == (1, 32)
