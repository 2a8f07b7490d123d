"""What a rule may learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from histoblend.blending.objective import Objective


@dataclass(frozen=True)
class Training:
    """Out-of-fold logits of labelled patches, and what the plan says about rules.

    Attributes:
        names: of the members.
        logits: float64 (n, members, outputs).
        labels: int (n,).
        groups: (n,), the fold of each patch.
        given: `blend.weights`; `power`: `blend.power`.
    """

    names: tuple[str, ...]
    logits: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    given: Mapping[str, float] | None = None
    power: float = 2.0

    @property
    def members(self) -> int:
        """How many there are."""
        return len(self.names)

    def objective(self) -> Objective:
        """The AUC, pooled on ranks within fold, of any logits (n, outputs) of these patches."""
        return Objective(self.labels, self.groups)

    def rows(self, chosen: np.ndarray) -> Training:
        """Only these rows: a mask or their places."""
        parts = {key: getattr(self, key)[chosen] for key in ("logits", "labels", "groups")}
        return replace(self, **parts)

    def only(self, places: np.ndarray) -> Training:
        """Only the members at these places."""
        names = tuple(self.names[place] for place in places)
        return replace(self, names=names, logits=self.logits[:, places])
