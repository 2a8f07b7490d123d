"""What the blends of a run share, and what one of them is before it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from histoblend.blending.nested_audit import Verdict
from histoblend.config import Blend
from histoblend.evaluation.metrics import Scoring
from histoblend.evaluation.uncertainty import Interval
from histoblend.workspace import Workspace


@dataclass(frozen=True)
class BlendInputs:
    """What every blend of a run shares; `scale` is that of the submission."""

    workspace: Workspace
    plan: str
    scale: str
    scoring: Scoring
    settings: Blend = field(default_factory=Blend)


@dataclass(frozen=True)
class Blended:
    """One rule's blend: what the audit found, logits of the test patches, interval of its cross-fitted AUC."""

    name: str
    verdict: Verdict
    test: np.ndarray
    interval: Interval


def ensemble_name(plan: str, rule: str) -> str:
    """Name of a plan's blend by this rule, in folders and in the ranking."""
    return f"{plan}_{rule}"
