"""What differs between resolved settings, and nothing else."""

from __future__ import annotations

from typing import Any

from histoblend.artifacts.forms import Weights
from histoblend.comparing.settings import ABSENT, blend_settings, differing, experiment_settings

STEPS = [{"name": "D4", "p": 1.0}, {"name": "Blur", "limit": 3, "p": 0.1}]


def record(**changes: Any) -> dict[str, Any]:
    experiment = {
        "name": "one",
        "recipe": "plain",
        "network": {"name": "small_vgg", "widths": [4, 8]},
        "augmentation": STEPS,
        "training": {"epochs": 3, "ema": 0.0},
        "role": "member",
    }
    return {"experiment": experiment | changes, "views": 4, "data": "d", "fingerprint": "f"}


def between(*records: dict[str, Any]) -> dict[str, list[str]]:
    return differing([experiment_settings(one) for one in records])


def test_only_differences_are_told_and_who_it_is_is_none():
    other = record(name="two", recipe=None, training={"epochs": 5, "ema": 0.0})
    assert between(record(), other | {"fingerprint": "g"}) == {"training.epochs": ["3", "5"]}
    assert between(record(), record()) == {}


def test_steps_of_an_augmentation_are_told_by_name_whatever_their_place():
    gentler = [{"name": "Blur", "limit": 3, "p": 0.05}, {"name": "D4", "p": 1.0}]
    assert between(record(), record(augmentation=gentler)) == {"augmentation.Blur.p": ["0.1", "0.05"]}
    twice = [*STEPS, {"name": "D4", "p": 0.5}]
    assert between(record(), record(augmentation=twice)) == {"augmentation.D4#2.p": [ABSENT, "0.5"]}


def test_no_augmentation_and_some_share_a_row():
    assert between(record(augmentation=[]), record()) == {
        "augmentation.(others)": [ABSENT, "D4.p 1.0, Blur.limit 3, Blur.p 0.1"]
    }


def test_a_setting_that_came_later_is_no_difference_at_what_it_meant_before():
    late = record(training={"epochs": 3, "ema": 0.0, "mixup": 0.0})
    assert between(record(), late) == {}
    mixed = record(training={"epochs": 3, "ema": 0.0, "mixup": 0.2})
    assert between(record(), mixed) == {"training.mixup": ["0.0", "0.2"]}


def test_parameters_of_other_networks_share_a_row():
    resnet = {"name": "small_resnet", "blocks": [1, 1], "stem": 3}
    found = between(record(), record(network=resnet))
    assert list(found) == ["network.name", "network.(others)"]
    assert found["network.(others)"] == ["widths [4, 8]", "blocks [1, 1], stem 3"]


def test_what_an_estimator_on_statistics_has_no_use_for_is_not_told():
    one = record(network={"name": "texture_hgb"})
    other = record(network={"name": "texture_hgb"}, training={"epochs": 99, "ema": 0.5})
    assert between(one, other) == {}


def test_blends_differ_in_rule_weights_and_seeds():
    mean = {"rule": "logit_mean", "weights": {"a": 0.5, "b": 0.5}, "members": {"a": ["a"], "b": ["b"]}}
    greedy = {"rule": "greedy", "weights": {"a": 1.0}, "members": {"a": ["a", "a.seed2"]}}
    assert differing([blend_settings(Weights(**mean)), blend_settings(Weights(**greedy))]) == {
        "rule": ["logit_mean", "greedy"],
        "weight of a": ["0.5", "1"],
        "weight of b": ["0.5", ABSENT],
        "seeds of a": [ABSENT, "a, a.seed2"],
    }
