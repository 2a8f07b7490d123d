"""An output folder read into `Artifacts`: everything once, everything checked; what is unfinished is said, not refused.

Files are written whole and renamed, so a run at work in the folder is no obstacle: what it has not finished is told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.artifacts.checks import (
    check_blend_audit,
    check_scores,
    check_weights,
    read_split,
    read_words,
)
from histoblend.artifacts.forms import (
    BlendAudit,
    DataAudit,
    Holder,
    RunNote,
    Weights,
    read_form,
    read_metrics,
)
from histoblend.artifacts.reading_experiments import read_experiments
from histoblend.artifacts.shared import Shared, stored_interval
from histoblend.artifacts.submissions import check_submissions
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.uncertainty import Ground, Interval, estimates, ground_of
from histoblend.inference.tables import read_out_of_fold, read_test, table_logits
from histoblend.pulled import known_scores, known_submissions, pulled_metrics
from histoblend.workspace import Workspace


def read_artifacts(workspace: Workspace) -> Artifacts:
    """Read and check everything the report uses.

    Raises:
        ArtifactRefusal: nothing was run here, or an artifact is damaged; names file and row or key.
    """
    if not workspace.run_record.exists() or not workspace.folds.exists():
        raise ArtifactRefusal(
            f"{workspace.folder} holds no run: run.json or folds.csv is not there.",
            "the output folder of a run that has made its folds",
            "name it with --output, or run first: ./run.sh run PLAN.",
        )
    run = read_form(workspace.run_record, RunNote)
    folds = read_split(workspace, run)
    shared = Shared(workspace, run, folds, _test_ids(workspace), [])
    found = [*read_experiments(shared), *_blends(shared)]
    order = sorted(found, key=_place)
    audit = _blend_audit(shared, order)
    _check_weights(shared, order, audit)
    check_submissions(workspace, audit, order, tuple(run.data.classes))
    data_audit = workspace.audit / "audit.json"
    return Artifacts(
        workspace=workspace,
        run=run,
        folds=folds,
        policy=run.folds.policy,
        ranked=tuple(_with_intervals(order, shared)),
        blend_audit=audit,
        data_audit=read_form(data_audit, DataAudit) if data_audit.exists() else None,
        holder=read_form(workspace.lock_holder, Holder) if workspace.lock_holder.exists() else None,
        ledger=known_scores(workspace),
        test_patches=None if shared.test_ids is None else len(shared.test_ids),
        notes=tuple(shared.notes),
        pulled=tuple(pulled_metrics(workspace)),
        submissions=tuple(known_submissions(workspace)),
    )


def _place(one: Candidate) -> tuple[bool, int, float, str]:
    """Complete ones first, by their score; of the others those with more folds."""
    return not one.metrics.complete, -len(one.metrics.folds), -one.metrics.auc_pooled, one.name


def _test_ids(workspace: Workspace) -> pd.Series | None:
    """The test ids that most test tables share, so that one that lacks a row is refused by its own name."""
    paths = [*workspace.experiments.glob("*/test.csv"), *workspace.ensembles.glob("*/test.csv")]
    paths = paths or list(workspace.experiments.glob("*/fold_*/test.csv"))  # of a run that has only begun
    kinds = Counter(tuple(read_words(path).iloc[:, 0]) for path in sorted(paths))
    return pd.Series(kinds.most_common(1)[0][0], name="id", dtype=str) if kinds else None


def _blends(shared: Shared) -> list[Candidate]:
    read = []
    for path in sorted(shared.workspace.ensembles.glob("*/metrics.json")):
        folder = shared.workspace.ensemble(path.parent.name)
        metrics = read_metrics(path)
        table = read_out_of_fold(folder.out_of_fold, shared.folds)
        check_scores(path, metrics, table, shared.run.about)
        test = read_test(folder.test, shared.ids) if folder.test.exists() else None
        weights = read_form(folder.weights, Weights)
        read.append(Candidate(metrics, table, stored_interval(metrics), test, weights=weights))
    return read


def _with_intervals(found: list[Candidate], shared: Shared) -> list[Candidate]:
    """The same with the intervals that were not stored, those of complete ones all at once."""
    lacking = [one for one in found if one.metrics.interval is None]
    whole = [one for one in lacking if one.metrics.complete]
    known: dict[str, Interval] = {}
    if whole:
        ground = ground_of(shared.folds, shared.run.folds.policy)
        logits = np.stack([_in_order(one, shared.folds) for one in whole], axis=1)
        known = {one.name: each.interval for one, each in zip(whole, estimates(ground, logits), strict=True)}
    for one in lacking:
        if one.name not in known:
            known[one.name] = estimates(_ground(one, shared), one.logits[:, None, :])[0].interval
    return [replace(one, interval=known.get(one.name, one.interval)) for one in found]


def _in_order(candidate: Candidate, folds: pd.DataFrame) -> np.ndarray:
    return table_logits(candidate.table.set_index("id").loc[folds["id"]])


def _ground(candidate: Candidate, shared: Shared) -> Ground:
    rows = shared.folds.set_index("id").loc[candidate.table["id"]].reset_index()
    return ground_of(rows, shared.run.folds.policy)


def _blend_audit(shared: Shared, found: list[Candidate]) -> BlendAudit | None:
    path: Path = shared.workspace.blend_audit(shared.run.plan_name)
    if not path.exists():
        return None
    audit = read_form(path, BlendAudit)
    scores = {one.name: one.metrics.auc_pooled for one in found if one.metrics.kind == "blend"}
    check_blend_audit(path, audit, shared.run.folds.fingerprint, scores)
    return audit


def _check_weights(shared: Shared, found: list[Candidate], audit: BlendAudit | None) -> None:
    """Every blend's weights, those of the audited plan against its audit."""
    for one in found:
        if one.weights is None:
            continue
        path = shared.workspace.ensemble(one.name).weights
        judged = audit if audit and one.name == audit.blend(one.weights.rule) else None
        check_weights(path, one.weights, judged)
