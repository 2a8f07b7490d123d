"""Curves drawn from predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.metrics import roc_curve

from histoblend.evaluation.auc import auc
from histoblend.workspace import atomic_write


def write_roc_curve(path: Path, labels: np.ndarray, scores: np.ndarray, title: str) -> None:
    """Draw the ROC curve of `scores` (n,) for `labels` 0/1 (n,) as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    false_positives, true_positives, _ = roc_curve(labels, scores)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="chance")
    axes.plot(false_positives, true_positives, color="C0", label=f"AUC {auc(labels, scores):.4f}")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title=title, aspect="equal")
    axes.legend(loc="lower right")
    with atomic_write(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)
