"""What an output folder holds, read once and checked: all that the report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from histoblend.artifacts.forms import BlendAudit, DataAudit, Done, Holder, RunNote, Weights
from histoblend.evaluation.metrics import Metrics
from histoblend.evaluation.uncertainty import Ground, Interval, ground_of
from histoblend.inference.tables import table_logits
from histoblend.ledger import Submission
from histoblend.workspace import Workspace


@dataclass(frozen=True)
class Task:
    """One finished fold of an experiment; `history` has one row an epoch, None where nothing was trained by epochs."""

    fold: int
    done: Done
    history: pd.DataFrame | None


@dataclass(frozen=True)
class Candidate:
    """An experiment, yardstick, addition or blend that has a score.

    Attributes:
        metrics: its row of the ranking, checked against `table`.
        table: out-of-fold predictions of the folds in `metrics`: id, label, fold, logits, probabilities.
        interval: of the pooled AUC.
        test: predictions of the test patches; None where there are none yet.
        tasks: its finished folds; none of blends and additions.
        network: name of the network; empty for blends and additions.
        settings: the record it was started with; empty for blends.
        weights: of a blend.
    """

    metrics: Metrics
    table: pd.DataFrame
    interval: Interval
    test: pd.DataFrame | None = None
    tasks: tuple[Task, ...] = ()
    network: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Weights | None = None

    @property
    def name(self) -> str:
        """Its name in folders and in the ranking."""
        return self.metrics.name

    @property
    def labels(self) -> np.ndarray:
        """int (n,), in the order of the table."""
        return self.table["label"].to_numpy()

    @property
    def logits(self) -> np.ndarray:
        """float64 (n, outputs), in the order of the table."""
        return table_logits(self.table)


@dataclass(frozen=True)
class Artifacts:
    """Everything the report says, from files alone.

    Attributes:
        folds: id, label, slide, fold; `policy`: how slides became known (``map``, ``stain-clusters``, ``none``).
        ranked: complete ones by pooled AUC, then partial ones, those with more folds first.
        blend_audit: what the rules of the last plan's blend are worth; None where an older run left none.
        data_audit: what ``histoblend audit`` found; None where it was not run.
        holder: the run that is at work in the folder, or was killed there.
        ledger: public_score, private_score by name, NaN where unknown; `submissions`: its lines.
        pulled: scores of what kernels on Kaggle brought home into this folder.
        test_patches: number of test patches; None where nothing has predicted them yet.
        notes: sentences on what is unfinished or left out.
    """

    workspace: Workspace
    run: RunNote
    folds: pd.DataFrame
    policy: str
    ranked: tuple[Candidate, ...]
    blend_audit: BlendAudit | None
    data_audit: DataAudit | None
    holder: Holder | None
    ledger: pd.DataFrame
    test_patches: int | None
    notes: tuple[str, ...]
    pulled: tuple[Metrics, ...] = ()
    submissions: tuple[Submission, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; label k is ``classes[k]``."""
        return tuple(self.run.data.classes)

    @property
    def several(self) -> bool:
        """Whether there are more than two classes."""
        return len(self.classes) > 2

    @property
    def scored_elsewhere(self) -> bool:
        """Whether there is a leaderboard: something to submit, or a score that one has answered."""
        recommended = self.blend_audit is not None and bool(self.blend_audit.finals)
        return recommended or self.workspace.submission.exists() or not self.ledger.empty

    @property
    def complete(self) -> tuple[Candidate, ...]:
        """Those with predictions of every training patch."""
        return tuple(one for one in self.ranked if one.metrics.complete)

    @property
    def blends(self) -> tuple[Candidate, ...]:
        """The blends, in the order of the ranking."""
        return tuple(one for one in self.ranked if one.metrics.kind == "blend")

    @property
    def experiments(self) -> tuple[Candidate, ...]:
        """What was trained here, in the order of the ranking."""
        return tuple(one for one in self.ranked if one.metrics.kind in ("experiment", "yardstick"))

    def named(self, name: str) -> Candidate | None:
        """The candidate of that name; None where there is none."""
        return next((one for one in self.ranked if one.name == name), None)

    @property
    def lead(self) -> Candidate | None:
        """What the galleries and curves are about.

        The blend that the audit chose, else that of the plan's rule, else the best blend, else the best experiment.
        """
        plan = self.run.plan_name
        rules = [self.blend_audit.chosen] if self.blend_audit else []
        rules.append(str((self.run.plan.get("blend") or {}).get("rule")))
        chosen = [self.named(f"{plan}_{rule}") for rule in rules]
        return next((one for one in (*chosen, *self.blends, *self.ranked) if one is not None), None)

    def ground(self, candidate: Candidate) -> Ground:
        """What a candidate's predictions are judged on, row by row of its table."""
        rows = self.folds.set_index("id").loc[candidate.table["id"]].reset_index()
        return ground_of(rows, self.policy)
