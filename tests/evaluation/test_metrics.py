"""What an experiment scored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from histoblend.evaluation.metrics import Metrics, Scoring, areas, local_leaderboard, scored
from histoblend.evaluation.uncertainty import Interval
from histoblend.inference.tables import out_of_fold_table


def test_the_local_leaderboard_is_joined_by_id():
    test = pd.DataFrame({"id": list("abcd"), "logit": [4.0, 3.0, 2.0, 1.0]})
    solution = pd.DataFrame({"id": list("dcba"), "label": [0, 0, 1, 1]})
    assert local_leaderboard(test, solution) == 1.0
    assert local_leaderboard(test, None) is None
    assert local_leaderboard(test, None) is None


def test_only_patches_of_known_label_are_scored_and_one_class_alone_is_not():
    test = pd.DataFrame({"id": list("abcd"), "logit": [4.0, 3.0, 2.0, 1.0]})
    assert local_leaderboard(test, pd.DataFrame({"id": ["a", "b"], "label": [0, 1]})) == 0.0
    assert local_leaderboard(test, pd.DataFrame({"id": ["a", "b"], "label": [1, 1]})) is None


SLIDES = pd.DataFrame(
    {
        "id": [f"p{number:03d}" for number in range(240)],
        "label": np.arange(240) % 2,
        "slide": [f"slide{number % 48}" for number in range(240)],
        "fold": np.arange(240) % 48 % 3,
    }
)


def scoring(policy: str = "map") -> Scoring:
    return Scoring(SLIDES, SLIDES["id"], None, None, ("no", "yes"), {"slides_policy": policy})


def predicted(rows: pd.DataFrame = SLIDES) -> pd.DataFrame:
    noise = np.random.default_rng(0).normal(size=len(SLIDES))[rows.index]
    return out_of_fold_table(rows, (rows["label"].to_numpy() + noise)[:, None])


def test_a_score_comes_with_its_interval_over_slides():
    table = predicted()
    found = scored(table, scoring().ground_for(table))
    interval = Interval(**found["interval"])
    assert interval.low < found["auc_pooled"] < interval.high
    assert interval.clusters == 48 and interval.method == "slide bootstrap"
    assert {key: found[key] for key in areas(table)} == areas(table)


def test_slides_are_joined_by_id_whatever_the_order_or_the_folds_that_are_there():
    table = predicted()
    shuffled = table.sample(frac=1, random_state=0)
    assert scored(shuffled, scoring().ground_for(shuffled))["interval"]["low"] == pytest.approx(
        scored(table, scoring().ground_for(table))["interval"]["low"]
    )
    part = predicted(SLIDES[SLIDES["fold"] != 1])
    ground = scoring().ground_for(part)
    assert ground.slides is not None
    expected = SLIDES.set_index("id").loc[part["id"], "slide"].tolist()
    assert ground.slides.tolist() == expected and scored(part, ground)["folds"] == [0, 2]


def test_one_fold_says_nothing_of_how_folds_differ():
    assert areas(predicted(SLIDES[SLIDES["fold"] == 1]))["auc_fold_std"] is None
    by_fold = list(areas(predicted())["auc_by_fold"].values())
    assert areas(predicted())["auc_fold_std"] == pytest.approx(np.std(by_fold, ddof=1))


def test_without_slides_patches_count_alone():
    table = predicted()
    interval = scored(table, scoring("none").ground_for(table))["interval"]
    assert interval["method"] == "DeLong" and interval["warning"]


def test_metrics_of_before_there_were_intervals_have_none():
    old = {"name": "a", "kind": "experiment", "complete": True, "folds": [0], "auc_pooled": 0.9}
    metrics = Metrics(**old, auc_fold_mean=0.9, auc_fold_std=0.0)
    assert metrics.interval is None and metrics.auc_in_sample is None
