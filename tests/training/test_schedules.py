from __future__ import annotations

import numpy as np
import pytest

from histoblend.config_training import Schedule
from histoblend.training.schedules import SHAPES, plateau_factor, ramped, rate_table


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 1), (0.0, 50), (0.2, 50), (0.9, 3)])
def test_every_step_has_a_rate_between_zero_and_the_highest(name: str, warmup: float, steps: int):
    table = rate_table(Schedule(name=name, warmup=warmup), 0.1, steps)
    assert table.shape == (steps,)
    assert table.dtype == np.float32
    assert (table > 0).all() and table.max() <= np.float32(0.1)


def test_constant():
    np.testing.assert_allclose(rate_table(Schedule(name="constant"), 0.1, 4), [0.1] * 4)


def test_warm_up_climbs_in_equal_steps_from_near_zero_to_the_highest():
    table = rate_table(Schedule(name="constant", warmup=0.4), 1.0, 10)
    np.testing.assert_allclose(table, [0.25, 0.5, 0.75, 1.0, *[1.0] * 6])


def test_step_falls_at_each_milestone():
    schedule = Schedule(name="step", milestones=(0.5, 0.75), factor=0.1)
    np.testing.assert_allclose(rate_table(schedule, 1.0, 8), [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_cosine_is_half_way_in_the_middle_and_ends_at_the_final_share():
    table = rate_table(Schedule(name="cosine", final=0.1), 2.0, 1000)
    assert table[0] == 2.0
    assert table[500] == pytest.approx((2.0 + 0.2) / 2)
    assert table[-1] == pytest.approx(0.2, rel=1e-4)
    assert (np.diff(table) < 0).all()


def test_one_cycle_climbs_for_three_tenths_and_falls():
    table = rate_table(Schedule(name="one_cycle", final=0.0), 1.0, 100)
    assert table.max() == 1.0
    assert np.flatnonzero(table == 1.0).tolist() == [29, 30]
    assert table[0] == pytest.approx(1 / 30)
    assert (np.diff(table[:30]) > 0).all() and (np.diff(table[30:]) < 0).all()
    assert rate_table(Schedule(name="one_cycle", warmup=0.1), 1.0, 100).argmax() == 9


PLATEAU = Schedule(name="plateau", patience=2, factor=0.5)


@pytest.mark.parametrize(
    ("aucs", "factor"),
    [
        ([], 1.0),
        ([0.7], 1.0),
        ([0.7, 0.6], 1.0),
        ([0.7, 0.6, 0.7], 0.5),  # equal is not better
        ([0.7, 0.6, 0.6, 0.6], 0.5),  # the count starts again after a cut
        ([0.7, 0.6, 0.6, 0.6, 0.6], 0.25),
        ([0.7, 0.6, 0.8, 0.7], 1.0),  # a new best starts the count again
        ([0.7, 0.6, 0.8, 0.7, 0.7], 0.5),
    ],
)
def test_plateau_factor_follows_the_history(aucs: list[float], factor: float):
    assert plateau_factor(PLATEAU, aucs) == factor


def test_other_schedules_ignore_the_history():
    assert plateau_factor(Schedule(name="cosine", patience=1), [0.7, 0.6, 0.5]) == 1.0


@pytest.mark.parametrize(
    ("name", "end"), [("cosine", 0.1), ("one_cycle", 0.1), ("step", 0.01), ("constant", 1)]
)
def test_the_rate_is_held_where_its_shape_ends(name: str, end: float):
    schedule = Schedule(name=name, warmup=0.25, hold=0.5, final=0.1)
    table = rate_table(schedule, 1.0, 40)
    np.testing.assert_allclose(table[20:], end, rtol=1e-6)
    assert table[9] == 1.0 and (table[10:20] >= end).all()
    assert len(table) == 40


def test_a_held_rate_takes_the_rest_and_no_more():
    for steps in (1, 2, 3, 7):
        assert len(rate_table(Schedule(warmup=0.5, hold=0.49), 1.0, steps)) == steps


def test_the_climb_that_one_cycle_brings_counts_beside_the_hold():
    """Without a warm-up it climbs for 0.3 of the training: with a hold of 0.7 nothing is left to fall in."""
    with pytest.raises(ValueError, match=r"warmup 0\.3 \(of one_cycle, where none is given\) and hold 0\.7"):
        Schedule(name="one_cycle", hold=0.7)
    assert Schedule(name="cosine", hold=0.7).climb == 0
    table = rate_table(Schedule(name="one_cycle", hold=0.6), 1.0, 100)
    assert np.argmax(table) in (29, 30) and table[40] == table[-1]


def test_a_ramp_climbs_and_leaves_the_rest_as_it_is():
    table = np.linspace(1.0, 0.1, 10)
    np.testing.assert_allclose(ramped(table, 4)[:4], table[:4] * [0.25, 0.5, 0.75, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(ramped(table, 4)[4:], table[4:].astype(np.float32))
