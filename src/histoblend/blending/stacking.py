"""Logistic stacking: the members' normal scores within fold as the features of a logistic regression."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from histoblend.blending.mixture import Mixture, normal_scores
from histoblend.blending.training import Training


def stacked(training: Training, penalty: float, lowest: float | None) -> Mixture:
    """The mixture that a penalised logistic regression finds; of two classes.

    Where it finds nothing (every weight zero, as of members that all rank against the labels and may not be turned
    round), the weights are equal.

    Args:
        penalty: of half the sum of the squared coefficients, beside the mean log-loss of a patch.
        lowest: no coefficient lies below it; None for no bound.
    """
    features = normal_scores(training.logits[..., 0], training.groups)
    found = fitted(features, training.labels, penalty, lowest)
    slope = float(np.abs(found[1:]).sum())
    if slope < 1e-9:
        return Mixture(np.full(training.members, 1 / training.members), "normal")
    return Mixture(found[1:] / slope, "normal", slope=slope, intercept=float(found[0]))


def fitted(features: np.ndarray, labels: np.ndarray, penalty: float, lowest: float | None) -> np.ndarray:
    """Intercept and coefficients float64 (1 + members,) of a logistic regression, by L-BFGS-B.

    Args:
        features: float64 (n, members).
        labels: 0/1 (n,).
    """
    signs = np.where(labels == 1, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (features @ parameters[1:] + parameters[0])
        pulls = -signs * expit(-margins) / len(signs)
        gradient = np.concatenate([[pulls.sum()], features.T @ pulls + penalty * parameters[1:]])
        value = -log_expit(margins).mean() + penalty / 2 * np.square(parameters[1:]).sum()
        return float(value), gradient

    members = features.shape[1]
    bounds = [(None, None), *[(lowest, None)] * members]
    start = np.concatenate([[0.0], np.full(members, 1 / members)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return np.asarray(found.x)
