"""The yardstick that is no network: histogram gradient boosting on texture statistics (Ke et al. 2017)."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from histoblend.models.parameters import TextureHgb


def fit_texture_hgb(
    features: np.ndarray, labels: np.ndarray, settings: TextureHgb, seed: int
) -> HistGradientBoostingClassifier:
    """Fit on features float32 (n, d) and labels 0/1 (n,); `decision_function` gives the logit.

    Early stopping is off: it would watch a split that is not grouped by slide.
    """
    estimator = HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=settings.iterations,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.samples_per_leaf,
        l2_regularization=settings.l2,
        max_features=settings.feature_share,
        early_stopping=False,
        random_state=seed,
    )
    return estimator.fit(features, labels)
