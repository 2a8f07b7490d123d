"""Whether probabilities can be taken at their word, and maps that mend them: each fold by a map of the others.

Calibration error is measured in bins of equal mass by default: probabilities of a trained network pile up near 0
and 1, so that bins of equal width hold nearly nothing in the middle (Nixon et al. 2019; Roelofs et al. 2022). With
two classes it compares the probability of class 1 with its share; with more, the top probability with accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from histoblend.errors import ArtifactRefusal, ConfigRefusal, nearest
from histoblend.inference.predict import probabilities

BINS = 15
WARMEST = 100.0  # bounds of the temperature: 1/100 to 100
NONE = "none"  # probabilities as the models gave them

Map = Callable[[np.ndarray], np.ndarray]
"""Logits (n, outputs) in, calibrated probabilities (n, outputs) out."""
Learner = Callable[[np.ndarray, np.ndarray], Map]
"""Labels int (n,) and logits (n, outputs) in, the map learnt on them out."""


def temperature(labels: np.ndarray, logits: np.ndarray) -> Map:
    """All logits divided by one number, that of the lowest log loss (Guo et al. 2017)."""
    wide = np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits
    right = np.take_along_axis(wide, labels[:, None], axis=1)[:, 0]

    def loss(log_temperature: float) -> float:
        shrunk = np.exp(-log_temperature)
        return float(np.mean(np.logaddexp.reduce(wide * shrunk, axis=1) - right * shrunk))

    bound = np.log(WARMEST)
    found = np.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x)
    return lambda given: np.asarray(probabilities(given / found))


def platt(labels: np.ndarray, logits: np.ndarray) -> Map:
    """A slope and a shift of the logit, with Platt's softened targets: separable labels do not drive it to 0 and 1."""
    positive = int(labels.sum())
    negative = len(labels) - positive
    target = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    twice, sides = np.vstack([logits, logits]), np.repeat([1, 0], len(labels))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(
        twice, sides, sample_weight=np.hstack([target, 1 - target])
    )
    return lambda given: np.asarray(model.predict_proba(given)[:, 1:])


def isotonic(labels: np.ndarray, logits: np.ndarray) -> Map:
    """Rising and piecewise linear through the steps of least squares; its plateaus make ties.

    Never nearer to 0 or 1 than its number of patches can tell.
    """
    least = 1 / (len(labels) + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(logits[:, 0], labels)
    return lambda given: np.asarray(model.predict(given[:, 0]))[:, None]


MAPS: dict[str, Learner] = {"temperature": temperature, "platt": platt, "isotonic": isotonic}
TWO_CLASSES_ONLY = frozenset({"platt", "isotonic"})


def maps_for(outputs: int) -> tuple[str, ...]:
    """The maps that have a meaning for logits of that many outputs."""
    return tuple(name for name in MAPS if outputs == 1 or name not in TWO_CLASSES_ONLY)


def learnt_map(method: str, labels: np.ndarray, logits: np.ndarray) -> Map:
    """The map `method` learnt on all patches given, for predictions of others, such as test patches.

    Args:
        labels: int (n,), 0 to classes - 1.
        logits: out-of-fold logits (n, outputs); one output for two classes.

    Raises:
        ConfigRefusal: there is no such map, or it has no meaning for more than two classes.
        ArtifactRefusal: some class has no patch.
    """
    allowed = maps_for(logits.shape[1])
    if method not in MAPS:
        raise ConfigRefusal(f"There is no calibration {method!r}.", nearest(method, allowed))
    if method not in allowed:
        raise ConfigRefusal(
            f"Calibration {method} is for two classes; these logits are of {logits.shape[1]}.",
            f"{', '.join(allowed)} for more than two",
        )
    classes = max(2, logits.shape[1])
    if lacking := sorted(set(range(classes)) - set(np.unique(labels).tolist())):
        raise ArtifactRefusal(
            f"No patch of class {lacking[0]} is there to learn a calibration from.", "patches of every class"
        )
    return MAPS[method](labels, logits)


def cross_fitted(method: str, labels: np.ndarray, logits: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Calibrated probabilities (n, outputs) of out-of-fold logits: each fold by the map learnt on the others.

    Raises:
        ConfigRefusal, ArtifactRefusal: as `learnt_map`, or there is one fold only.
    """
    numbers = np.unique(folds)
    if len(numbers) < 2:
        raise ArtifactRefusal(
            f"Only fold {numbers[0]} is there.", "two folds or more: one is calibrated by a map of the others"
        )
    calibrated = np.empty(logits.shape, np.float64)
    for fold in numbers:
        here = folds == fold
        calibrated[here] = learnt_map(method, labels[~here], logits[~here])(logits[here])
    return calibrated


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are from what happens; `method` is ``none`` or the map they went through."""

    method: str
    log_loss: float
    brier: float
    """Mean squared error of the probability; over more than two classes, summed over them."""
    ece_equal_mass: float
    ece_equal_width: float
    """Expected calibration error, in 15 bins."""


def calibrations(labels: np.ndarray, logits: np.ndarray, folds: np.ndarray) -> list[Calibration]:
    """Before, then after each map that has a meaning for these classes, cross-fitted; arguments as `cross_fitted`."""
    before = judged(NONE, labels, probabilities(logits))
    names = maps_for(logits.shape[1])
    return [before, *(judged(name, labels, cross_fitted(name, labels, logits, folds)) for name in names)]


def judged(method: str, labels: np.ndarray, given: np.ndarray) -> Calibration:
    """The figures of probabilities `given` (n, outputs)."""
    classes = np.arange(max(2, given.shape[1]))
    wide = np.hstack([1 - given, given]) if given.shape[1] == 1 else given
    error = np.square(wide - np.eye(len(classes))[labels]).sum(axis=1)
    return Calibration(
        method,
        float(log_loss(labels, wide, labels=classes)),
        float(error.mean() / (2 if given.shape[1] == 1 else 1)),
        expected_error(reliability(labels, given)),
        expected_error(reliability(labels, given, equal="width")),
    )


def reliability(labels: np.ndarray, given: np.ndarray, bins: int = BINS, equal: str = "mass") -> pd.DataFrame:
    """What was said against what was: one row a bin that holds a patch.

    Args:
        labels: int (n,).
        given: probabilities (n, outputs). One output: of class 1; more: the top one is compared with accuracy.
        equal: ``mass`` (as many patches a bin, equal probabilities never parted) or ``width``.

    Returns:
        predicted (mean probability), observed (share), patches, in rising order.
    """
    several = given.shape[1] > 1
    said = given.max(axis=1) if several else given[:, 0]
    happened = given.argmax(axis=1) == labels if several else labels == 1
    shares = np.linspace(0, 1, bins + 1)
    inner = (np.quantile(said, shares) if equal == "mass" else shares)[1:-1]
    place = np.searchsorted(np.unique(inner), said, side="right")
    frame = pd.DataFrame({"bin": place, "predicted": said, "observed": happened.astype(np.float64)})
    grouped = frame.groupby("bin")
    return grouped.mean().assign(patches=grouped.size()).reset_index(drop=True)


def expected_error(curve: pd.DataFrame) -> float:
    """Expected calibration error: mean distance of said and seen over the bins, weighed by their patches."""
    return float(np.average((curve["predicted"] - curve["observed"]).abs(), weights=curve["patches"]))
