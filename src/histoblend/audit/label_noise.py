"""Training patches whose label out-of-fold predictions contradict.

Source: Northcutt, Jiang & Chuang, "Confident learning: estimating uncertainty in dataset labels", 2021
(arXiv:1911.00068). A patch is counted to another class where its predicted probability of that class is at least
what patches of that class get on average; the average takes the model's over- and underconfidence out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histoblend.audit.findings import Finding, patch_rows
from histoblend.errors import counted

Probabilities = NDArray[np.float64]
NEVER_DROPPED = (
    "Never dropped by a setting: taking out what the model got wrong and scoring on the rest would flatter. "
    "A hard patch and a wrong label look the same here"
)


def confident_class(probabilities: Probabilities, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class each patch is confidently counted to; -1 where there is none.

    Args:
        probabilities: (n, classes), out of fold, rows summing to 1.
        labels: (n,), 0 to classes - 1, every class present.

    Returns:
        int64 (n,): among the classes whose probability reaches their threshold, the most probable.
    """
    own = range(probabilities.shape[1])
    thresholds = np.array([probabilities[labels == k, k].mean() for k in own])
    reached = probabilities >= thresholds
    best = np.where(reached, probabilities, -1.0).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1).astype(np.int64)


def label_noise_finding(
    ids: Sequence[str],
    labels: NDArray[np.int64],
    predictions: dict[str, Probabilities],
    classes: Sequence[str],
) -> Finding:
    """Suspects by the mean of the models' out-of-fold probabilities, the most contradicted first.

    Args:
        predictions: (n, classes) by experiment, in the order of `ids`.
    """
    mean = np.mean(list(predictions.values()), axis=0)
    confident = confident_class(mean, labels)
    rows = np.arange(len(labels))
    suspects = np.flatnonzero((confident >= 0) & (confident != labels))
    margin = mean[rows, confident] - mean[rows, labels]
    order = suspects[np.argsort(-margin[suspects], kind="stable")]
    each = np.stack([confident_class(one, labels) for one in predictions.values()])
    agree = (each == confident).sum(axis=0)
    models = counted(len(predictions), "model")
    return Finding(
        kind="label suspects",
        severity="odd" if len(order) else "note",
        part="train",
        sentence=f"{counted(len(order), 'patch')} ({len(order) / len(labels):.1%}): the label is contradicted by the "
        f"out-of-fold predictions of {models} ({', '.join(predictions)}). {NEVER_DROPPED}.",
        training="keep",
        patches=patch_rows(
            (
                "train",
                ids[row],
                f"{mean[row, confident[row]]:.3f} for {classes[confident[row]]}; {agree[row]} of {models}",
                0,
            )
            for row in order
        ),
        values={
            "joint": confident_joint(labels, confident, len(classes)).tolist(),
            "models": list(predictions),
        },
    )


def confident_joint(labels: NDArray[np.int64], counted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Patches by given label (rows) and class they are confidently counted to (columns): int64 (k, k)."""
    joint = np.zeros((classes, classes), dtype=np.int64)
    sure = counted >= 0
    np.add.at(joint, (labels[sure], counted[sure]), 1)
    return joint
