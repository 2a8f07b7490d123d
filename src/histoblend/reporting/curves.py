"""Curves drawn from predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from histoblend.evaluation.auc import auc, one_vs_rest
from histoblend.evaluation.curves import roc_points
from histoblend.workspace import atomic_write


def write_roc_curve(
    path: Path, labels: np.ndarray, logits: np.ndarray, title: str, classes: tuple[str, ...]
) -> None:
    """Draw the ROC curve of `logits` (n, outputs) for `labels` (n,) as PNG: one a class, of more than two."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="chance")
    for name, right, scores in _curves(labels, logits, classes):
        false_positives, true_positives = roc_points(right, scores)
        axes.plot(false_positives, true_positives, label=f"{name}AUC {auc(right, scores):.4f}")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title=title, aspect="equal")
    axes.legend(loc="lower right")
    with atomic_write(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def _curves(
    labels: np.ndarray, logits: np.ndarray, classes: tuple[str, ...]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, labels 0/1 and scores of each curve."""
    if len(classes) == 2:
        yield "", labels, logits[:, 0]
        return
    for place, scores in enumerate(one_vs_rest(logits).T):
        yield f"{classes[place]}: ", (labels == place).astype(int), scores
