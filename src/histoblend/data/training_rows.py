"""What a network is trained on: rows of the pack with their labels, and patches whose targets models gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TaughtPatches:
    """What is drawn from beside the labelled patches: the last of `TrainingRows.rows`.

    Args:
        images_path: uint8 ``.npy`` file of the same shape but for the number of patches.
        targets: float32 (m, outputs), in [0, 1].
        weight: of each such patch in the loss; a labelled one weighs 1.
    """

    images_path: str
    targets: np.ndarray
    weight: float = 1.0


@dataclass(frozen=True)
class TrainingRows:
    """What is drawn from: rows of the pack with their labels.

    Args:
        images_path: the pack's uint8 ``.npy`` file, shape (patches, h, w, 3).
        rows: int64 (n,), rows of that file; with `taught` the last of them count on into its file.
        labels: integers (n,), 0 to classes - 1; of taught patches their most probable class.
        classes: number of classes.
        taught: patches of another file whose targets are given by models; None for none.
    """

    images_path: str
    rows: np.ndarray
    labels: np.ndarray
    classes: int = 2
    taught: TaughtPatches | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that `rows` count through."""
        return (self.images_path,) if self.taught is None else (self.images_path, self.taught.images_path)

    def targets_at(self, positions: np.ndarray) -> np.ndarray:
        """`targets` float32 (n, outputs) of the patches at these positions of `rows`."""
        given = targets(self.labels[positions], self.classes)
        if self.taught is not None:
            soft = positions - self._first_taught
            given[soft >= 0] = self.taught.targets[soft[soft >= 0]]
        return given

    def weights_at(self, positions: np.ndarray) -> np.ndarray | None:
        """Weight in the loss, float32 (n,), of the patches at these positions; None where all weigh one."""
        if self.taught is None or self.taught.weight == 1.0:
            return None
        return np.where(positions < self._first_taught, 1.0, self.taught.weight).astype(np.float32)

    @property
    def _first_taught(self) -> int:
        return len(self.rows) - (0 if self.taught is None else len(self.taught.targets))


def targets(labels: np.ndarray, classes: int) -> np.ndarray:
    """What a network learns, float32: labels 0 and 1 as (n, 1), more classes one-hot as (n, classes)."""
    if classes == 2:
        return labels.astype(np.float32)[:, None]
    return np.eye(classes, dtype=np.float32)[labels]
