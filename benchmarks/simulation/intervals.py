"""Does an interval hold the value sought as often as it says? And what does pooling over folds cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from histoblend.evaluation.auc import auc, fold_aucs, pooled_auc
from histoblend.evaluation.fold_test import corrected_t
from histoblend.evaluation.uncertainty import Ground, differences, estimates, prediction_interval
from simulation.slides import FOLDINGS, World, draw_out_of_fold, draw_patches

Row = dict[str, Any]
SLIDES, INDEPENDENT = "slide bootstrap", "DeLong, patches independent"
OVER_FOLDS, CORRECTED = "t over folds", "t over folds, corrected (Nadeau and Bengio)"
PREDICTION, PAIRED = "prediction interval", "paired difference"
POOLINGS = ("ranks within fold, pooled", "mean of folds", "raw logits, pooled")


def one_draw(world: World, generator: np.random.Generator) -> dict[str, tuple[float, ...]]:
    """(low, high, value sought, estimate) of each interval for member 0, and three ways to one AUC over folds."""
    ground, logits = draw_out_of_fold(world, generator)
    truth = world.member_aucs
    found = _intervals(ground, logits, truth[0])
    gain = differences(ground, logits[:, :2], 0)[1]
    found[PAIRED] = (gain.interval.low, gain.interval.high, truth[1] - truth[0], gain.gain)
    new = draw_patches(world, world.slides // 2, generator)
    score = auc(new.labels, new.logits[:, 0, 0])
    clusters = len(np.unique(ground.slides))  # half as many new ones, of whatever the run takes for slides
    predicted = prediction_interval(ground, logits[:, 0], clusters // 2)
    pooled = pooled_auc(ground.labels, logits[:, 0], ground.folds)
    found[PREDICTION] = (predicted.low, predicted.high, score, pooled)
    folds = list(fold_aucs(ground.labels, logits[:, 0], ground.folds).values())
    raw = auc(ground.labels, logits[:, 0, 0])
    found["pooling"] = tuple(value - truth[0] for value in (pooled, float(np.mean(folds)), raw))
    return found


def _intervals(ground: Ground, logits: np.ndarray, truth: float) -> dict[str, tuple[float, ...]]:
    first = logits[:, :1]
    grounds = {SLIDES: ground, INDEPENDENT: replace(ground, slides=None, clusters_are="patches")}
    found = {}
    for name, on in grounds.items():
        one = estimates(on, first)[0]
        found[name] = (one.interval.low, one.interval.high, truth, one.auc)
    values = np.array(list(fold_aucs(ground.labels, logits[:, 0], ground.folds).values()))
    for name, ratio in ((OVER_FOLDS, 0.0), (CORRECTED, None)):
        over = corrected_t(values, ratio)
        found[name] = (over.low, over.high, truth, over.mean)
    return found


def coverage_rows(world: World, draws: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Coverage of each interval, and bias of each way of pooling."""
    generator = np.random.default_rng([seed, world.slides, FOLDINGS.index(world.folding)])
    found = [one_draw(world, generator) for _ in range(draws)]
    return (
        [_covered(world, name, [one[name] for one in found]) for name in found[0] if name != "pooling"],
        _biases(world, np.array([one["pooling"] for one in found])),
    )


def _covered(world: World, method: str, found: Sequence[tuple[float, ...]]) -> Row:
    low, high, sought, _ = np.array(found).T
    held = (low <= sought) & (sought <= high)
    known = np.isfinite(low)
    return {
        "world": world.name,
        "slides": world.slides,
        "method": method,
        "coverage": float(held[known].mean()),
        "standard_error": float(held[known].std(ddof=1) / np.sqrt(known.sum())),
        "too_high": float((sought > high)[known].mean()),
        "too_low": float((sought < low)[known].mean()),
        "width": float((high - low)[known].mean()),
        "without": int((~known).sum()),
    }


def _biases(world: World, found: np.ndarray) -> list[Row]:
    errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return [
        {
            "world": world.name,
            "slides": world.slides,
            "estimator": name,
            "bias": float(found[:, place].mean()),
            "standard_error": float(errors[place]),
            "root_mean_square": float(np.sqrt(np.square(found[:, place]).mean())),
        }
        for place, name in enumerate(POOLINGS)
    ]
