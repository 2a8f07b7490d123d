"""`lr-find` on the toy competition: what it reads, what it writes, what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from histoblend.errors import ConfigRefusal
from histoblend.preparation import Request
from histoblend.searching import range_test
from histoblend.searching.learning_rate import RangeCurve
from histoblend.searching.range_test import RangeRequest, Rise, find_learning_rate

RISE = Rise(1e-5, 10.0, 40)
Find = Callable[..., tuple[RangeCurve, str]]


@pytest.fixture
def found(listening: type[Any]) -> Find:
    """Runs the range test; returns its curve and what was said."""

    def find(toy: Path, output: Path, name: str = "first", **more: Any) -> tuple[RangeCurve, str]:
        heard = listening()
        run = Request("toy", toy, output, settings=more.pop("settings", ()))
        request = RangeRequest(name, run, **({"rise": RISE} | more))
        return find_learning_rate(request, heard, dict(os.environ)), heard.text

    return find


def test_it_draws_a_curve_says_what_is_set_and_how_to_take_what_it_found_and_is_the_same_twice(
    found: Find, toy: Path, toy_configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    jobs, real = [], range_test.stepped_losses
    monkeypatch.setattr(range_test, "stepped_losses", lambda job, *rest: jobs.append(job) or real(job, *rest))
    curve, text = found(toy, tmp_path / "output")
    folder = tmp_path / "output/lr-find"
    table = pd.read_csv(folder / "first_fold_0.csv")
    np.testing.assert_allclose(table["loss"], curve.losses)
    assert (folder / "first_fold_0.png").read_bytes().startswith(b"\x89PNG")
    assert "first has optimizer.learning_rate 0.01 now: adamw" in text
    assert curve.suggestion is not None
    assert f"--set optimizer.learning_rate={curve.suggestion.tenth:.2g}" in text
    assert not (tmp_path / "output/experiments").exists()
    again, _ = found(toy, tmp_path / "output", to=tmp_path / "mine.png")
    assert again.losses == curve.losses
    assert (tmp_path / "mine.png").exists() and (tmp_path / "mine.csv").exists()
    other, _ = found(toy, tmp_path / "output", fold=1)
    first, _, second = (set(job.feed.source.rows) for job in jobs)
    assert (
        not first & second and len(first | second) == 60
    )  # two folds: each is read where the other is left out
    assert other.losses != curve.losses


def test_it_stops_where_the_loss_diverges(found: Find, toy: Path, toy_configs: Path, tmp_path: Path):
    curve, text = found(toy, tmp_path / "output", rise=Rise(1e-3, 3e38, 60))
    assert len(curve.losses) < 60 and not curve.losses[-1] < 1e3  # or no number
    assert f"The loss diverged at {curve.rates[-1]:.2g}, after {len(curve.losses)} steps." in text


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("trees", {}, "no learning rate to find"),
        ("frist", {}, "Did you mean first"),
        ("first", {"rise": Rise(1.0, 0.1, 100)}, "no range test"),
        ("first", {"rise": Rise(1e-6, 1.0, 5)}, "no range test"),
        ("first", {"to": Path("plot.pdf")}, "the plot is a PNG"),
        ("first", {"fold": 2}, "There is no fold 2"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    found: Find, toy: Path, toy_configs: Path, tmp_path: Path, name: str, more: dict[str, Any], message: str
):
    (toy_configs / "experiments/trees.yaml").write_text("network: texture_hgb\n")
    with pytest.raises(ConfigRefusal, match=message):
        found(toy, tmp_path / "output", name, **more)
    assert not (tmp_path / "output").exists()


def test_each_layer_learns_at_its_share_of_the_rate(
    found: Find, toy: Path, toy_configs: Path, tmp_path: Path
):
    """Measured otherwise, the rate that is found would be another optimizer's."""
    alike, text = found(toy, tmp_path / "output", rise=Rise(1e-3, 1.0, 30))
    shared, _ = found(
        toy, tmp_path / "output", rise=Rise(1e-3, 1.0, 30), settings=("optimizer.first_layer_rate=0.001",)
    )
    assert shared.losses[0] == alike.losses[0] and shared.losses[5:] != alike.losses[5:]
    assert "in the blend of this run" not in text


def test_an_experiment_outside_of_the_plan_is_not_said_to_join_its_blend(
    found: Find, toy: Path, toy_configs: Path, tmp_path: Path
):
    (toy_configs / "experiments/third.yaml").write_text("base: first\nseed: 3\n")
    curve, text = found(toy, tmp_path / "output", "third", rise=Rise(1e-4, 1.0, 30))
    assert curve.title.startswith("third") and "blend" not in text


def test_an_experiment_file_of_ones_own_will_do(found: Find, toy: Path, toy_configs: Path, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: first\nseed: 5\n")
    curve, text = found(toy, tmp_path / "output", str(path), rise=Rise(1e-4, 1.0, 30))
    assert curve.title == "mine, without fold 0" and "mine has optimizer.learning_rate" in text
