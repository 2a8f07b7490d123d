"""How a rate is read off the steps of a training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from histoblend.config_experiment import Experiment
from histoblend.inference import predict
from histoblend.models.dihedral_layers import DihedralConvolution
from histoblend.trials.speeds import WARM_STEPS, MeasuredRate, Stopwatch, prediction_rate


def rate_of(step_seconds: dict[int, float], told: list[int], seconds: float = 2.0) -> float:
    """The measured rate where step k takes `step_seconds[k]` (else .1 s) and only the steps in `told` are told."""
    times = [0.0]
    for step in range(1, 1000):
        times.append(times[-1] + step_seconds.get(step, 0.1))
    now = 0.0
    watch = Stopwatch(seconds, 32, clock=lambda: now)
    for step in told:
        now = times[step]
        try:
            watch.on_step(0, step, 0.5)
        except MeasuredRate as rate:
            return rate.images_per_second
    raise AssertionError("never measured")


def test_the_slow_first_steps_do_not_count():
    tracing = {1: 30.0, 2: 3.0}
    assert rate_of(tracing, list(range(1, 200))) == pytest.approx(320)


def test_steps_may_be_told_of_now_and_then():
    assert rate_of({1: 30.0}, [1, WARM_STEPS + 4, WARM_STEPS + 13, WARM_STEPS + 40]) == pytest.approx(320)


def test_slow_steps_are_measured_over_one_at_least():
    slow = dict.fromkeys(range(1, 10), 8.0)
    assert rate_of(slow, list(range(1, 10))) == pytest.approx(4.0)


def test_prediction_is_measured_with_the_network_that_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dihedral one is folded first, as in a run."""
    asked: list[keras.Model] = []

    def spied(model: keras.Model) -> Any:
        asked.append(model)
        return lambda images: np.zeros((len(images), 1))

    monkeypatch.setattr(predict, "network_logits", spied)
    network = {"name": "d4_resnet", "fields": [2], "blocks": [1]}
    task = SimpleNamespace(experiment=Experiment(name="one", network=network), precision="float32")
    pack = SimpleNamespace(side=24, train_images=lambda: np.zeros((4, 24, 24, 3), np.uint8))
    assert prediction_rate(task, SimpleNamespace(pack=pack, classes=("no", "yes")), 0.01) > 0
    (model,) = asked
    assert not any(isinstance(layer, DihedralConvolution) for layer in model.layers)
