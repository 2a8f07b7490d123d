"""What is to be submitted: a file, and the blend or experiment that it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from histoblend.evaluation.metrics import Metrics
from histoblend.kaggle.submitting.description import CrossValidation
from histoblend.workspace import Workspace


@dataclass(frozen=True)
class Entry:
    """A submission before it is sent.

    Attributes:
        name: in the ledger; that of a blend or experiment (of a pulled version: ``kernels/3: name``), else the file's.
        what: ``blend``, ``experiment``, ``yardstick``, ``external`` or ``file``.
        file_hash: of its bytes.
        workspace: the output folder it comes from.
        metrics: of the blend or experiment; None of a file of which nothing is known.
        fingerprint: of an experiment's settings or a blend's weights.
    """

    name: str
    what: str
    path: Path
    file_hash: str
    workspace: Workspace
    metrics: Metrics | None = None
    fingerprint: str = ""

    @property
    def scored(self) -> CrossValidation:
        """Its cross-validated AUC with the interval, as far as it is known."""
        if self.metrics is None or not self.metrics.folds:
            return CrossValidation()
        interval = self.metrics.interval or {}
        low, high = (interval.get(key) for key in ("low", "high"))
        return CrossValidation(
            self.metrics.auc_pooled,
            math.nan if low is None else low,
            math.nan if high is None else high,
        )

    @property
    def sentence(self) -> str:
        """What it is, for people."""
        scored = f", {self.scored}" if str(self.scored) else ", of which no AUC is known here"
        return f"{self.name} ({self.what}{scored}), {self.path}, bytes {self.file_hash}."
