"""Pseudo-labels: test patches that a student learns from, with what its teachers say of them. Pure.

The teachers of a student on fold k are other experiments on the very same fold k, so no label of fold k has
reached what the student learns: its out-of-fold predictions stay honest. (The mean over all folds would not
do: every other fold's model learned from fold k.) Labels of test patches are not used anywhere, so the
leaderboard stays honest too; but the student has seen the test patches it predicts, and not the held-out ones.

Two things it does not do. An inner split of the student was part of its teachers' training folds: where
something watches that split, it watches a little less strictly. And a test patch may show the same tissue as a
held-out one; what the student is told about it still comes from models that saw neither label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histoblend.config_training import PseudoLabels
from histoblend.data.training_rows import TaughtPatches, TrainingRows, targets
from histoblend.errors import ConfigRefusal
from histoblend.inference.predict import probabilities


@dataclass(frozen=True)
class PseudoLabelled:
    """Patches with what the teachers say of them.

    Attributes:
        rows: int64 (m,), rows of the test array.
        labels: int64 (m,), the most probable class.
        targets: float32 (m, outputs), in [0, 1], what is learned.
    """

    rows: np.ndarray
    labels: np.ndarray
    targets: np.ndarray


def pseudo_labelled(logits: np.ndarray, known: np.ndarray, settings: PseudoLabels) -> PseudoLabelled:
    """The patches the teachers are sure enough of, with the probability of the mean of their logits.

    Args:
        logits: float64 (teachers, patches, outputs).
        known: bool (patches,), those whose very pixels are among the labelled patches. They are left out: what
            is in the training folds is learned with its label, and what is held out stays unseen. That holds for
            identical pixels only: near duplicates of held-out patches are not looked for.

    Raises:
        ConfigRefusal: no patch is left.
    """
    probability = probabilities(logits.mean(axis=0))
    by_class = probability if probability.shape[1] > 1 else np.hstack([1 - probability, probability])
    sure = by_class.max(axis=1)
    rows = np.flatnonzero((sure >= settings.confidence) & ~known)
    if not len(rows):
        raise _nothing_left(sure[~known], settings)
    labels = by_class[rows].argmax(axis=1)
    soft = probability[rows].astype(np.float32)
    return PseudoLabelled(rows, labels, soft if settings.soft else targets(labels, by_class.shape[1]))


def _nothing_left(sure: np.ndarray, settings: PseudoLabels) -> ConfigRefusal:
    """`sure` is of the patches that are not known."""
    if not len(sure):
        return ConfigRefusal(
            "No test patch is left to learn from: all have the pixels of labelled ones.",
            "test patches that are not in the training part",
            "leave the student out, or set training.pseudo_labels to null.",
        )
    return ConfigRefusal(
        f"No test patch is left to learn from at training.pseudo_labels.confidence {settings.confidence} "
        f"(the teachers' highest: {sure.max():.3f}).",
        "at least one",
        "lower it.",
    )


def joined_rows(
    labelled: TrainingRows, labelled_file: int, taught: PseudoLabelled, images_path: str, weight: float
) -> TrainingRows:
    """What is drawn from: the labelled patches, then the taught ones.

    Args:
        labelled_file: number of patches in the file of the labelled ones.
        images_path: the file of the taught ones.
    """
    return TrainingRows(
        labelled.images_path,
        np.concatenate([labelled.rows, labelled_file + taught.rows]),
        np.concatenate([labelled.labels, taught.labels]),
        labelled.classes,
        TaughtPatches(images_path, taught.targets, weight),
    )
