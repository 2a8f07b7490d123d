"""Artifacts held against each other: a stored score must be that of the table it is about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.artifacts.forms import BlendAudit, Done, RunNote, Weights
from histoblend.data.folds import COLUMNS, folds_fingerprint
from histoblend.errors import ArtifactRefusal, some
from histoblend.evaluation.metrics import Metrics, areas
from histoblend.restoring import remedy_for
from histoblend.workspace import TaskFolder, Workspace, file_hash

AGREEMENT = 1e-9  # between a stored score and the same one computed from its table


def read_words(path: Path) -> pd.DataFrame:
    """A CSV file as it stands, every cell a str.

    Raises:
        ArtifactRefusal: it is no table; where one row has too many cells, its line is named.
    """
    if not path.exists():
        raise ArtifactRefusal(f"{path} is not there.", "a table as it was written", remedy_for(path))
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ArtifactRefusal(
            f"{path} cannot be read: {error}", "a table as it was written", remedy_for(path)
        ) from error


def read_split(workspace: Workspace, run: RunNote) -> pd.DataFrame:
    """folds.csv: id, label (int64), slide (str), fold (int64).

    Raises:
        ArtifactRefusal: a row is damaged, or it is not the split of the last run; names the rows where they are known.
    """
    path = workspace.folds
    raw = read_words(path)
    if list(raw.columns) != COLUMNS:
        raise ArtifactRefusal(f"{path} has the columns {list(raw.columns)}.", str(COLUMNS), remedy_for(path))
    whole = pd.concat([raw[column].str.fullmatch(r"\d+") for column in ("label", "fold")], axis=1).all(axis=1)
    bad = raw[~(whole & raw["id"].ne("") & ~raw["id"].duplicated())]
    if len(bad):
        row = int(bad.index[0])
        raise ArtifactRefusal(
            f"{path}, line {row + 2}: {','.join(raw.iloc[row])}.",
            "an id that stands there once, whole numbers as label and fold",
            remedy_for(path),
        )
    folds = raw.astype({"label": "int64", "fold": "int64"})
    if folds_fingerprint(folds) != run.folds.fingerprint:
        others = _unlike_tables(raw, workspace)
        where = f" Unlike every table of predictions: {some(others)}." if others else ""
        raise ArtifactRefusal(
            f"{path} is not the split of the last run (fingerprint {folds_fingerprint(folds)}).{where}",
            f"fingerprint {run.folds.fingerprint}, as in {workspace.run_record}",
            remedy_for(path),
        )
    return folds


def _unlike_tables(folds: pd.DataFrame, workspace: Workspace) -> list[str]:
    """Ids whose label or fold no table of predictions shares."""
    paths = [*workspace.experiments.glob("*/oof.csv"), *workspace.ensembles.glob("*/oof.csv")]
    seen: Counter[str] = Counter()
    for path in paths:
        table = read_words(path).reindex(columns=["id", "label", "fold"])
        joined = folds.merge(table, on="id", suffixes=("", "_there"))
        unlike = (joined["label"] != joined["label_there"]) | (joined["fold"] != joined["fold_there"])
        seen.update(joined["id"][unlike])
    return [name for name, times in seen.items() if times == len(paths)]


def read_history(path: Path) -> pd.DataFrame:
    """history.csv: one row an epoch, all numbers.

    Raises:
        ArtifactRefusal: a row is damaged; names it.
    """
    raw = read_words(path)
    if "epoch" not in raw:
        raise ArtifactRefusal(
            f"{path} has the columns {list(raw.columns)}.", "epoch and others", remedy_for(path)
        )
    numbers = raw.apply(lambda column: pd.to_numeric(column, errors="coerce"))
    empty = raw.eq("")  # what is measured from some epoch on only
    wrong = ~(np.isfinite(numbers) | empty).all(axis=1) | (numbers["epoch"] != np.arange(1, len(raw) + 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ArtifactRefusal(
            f"{path}, line {row + 2}: {','.join(raw.iloc[row])}.",
            f"epoch {row + 1} with its numbers",
            remedy_for(path),
        )
    return numbers


def check_task(folder: TaskFolder, done: Done, fold: int, fingerprint: str) -> None:
    """Hold done.json against its folder, its experiment's record and the small files beside it.

    Raises:
        ArtifactRefusal: they differ.
    """
    for key, found, expected in (
        ("fold", done.fold, fold),
        ("fingerprint", done.fingerprint, fingerprint),
    ):
        if found != expected:
            raise ArtifactRefusal(
                f"{folder.done}: {key} is {found!r}.", f"{expected!r}", remedy_for(folder.done)
            )
    for path in (folder.history, folder.out_of_fold, folder.test):
        if path.name in done.files and (not path.exists() or file_hash(path) != done.files[path.name]):
            raise ArtifactRefusal(
                f"{path} is not the file that was written: its bytes have changed, or it is gone.",
                f"the hash that {folder.done.name} beside it keeps of it",
                remedy_for(path),
            )


def check_fold_scores(folder: Path, done: Sequence[Done], table: pd.DataFrame) -> None:
    """Hold the AUC in each done.json against the experiment's out-of-fold table.

    Raises:
        ArtifactRefusal: they differ.
    """
    by_fold = areas(table)["auc_by_fold"]
    for one in done:
        expected = by_fold.get(str(one.fold))
        if expected is not None and not _same(one.auc, expected):
            raise _disagrees(folder / f"fold_{one.fold}" / "done.json", "auc", one.auc, expected)


def check_scores(path: Path, metrics: Metrics, table: pd.DataFrame, about: dict[str, str]) -> None:
    """Hold metrics.json against the out-of-fold table beside it, and against the folder and the data it is of.

    Args:
        about: what `metrics.about` has to say.

    Raises:
        ArtifactRefusal: a score is not that of the table, or something else does not fit; names the key.
    """
    if metrics.name != path.parent.name:
        raise _disagrees(path, "name", metrics.name, path.parent.name)
    for key, value in about.items():
        if metrics.about.get(key) != value:
            raise _disagrees(path, f"about > {key}", metrics.about.get(key), value)
    expected = areas(table)
    for key in ("auc_pooled", "auc_fold_mean", "auc_fold_std", "accuracy"):
        if not _same(getattr(metrics, key), expected[key]):
            raise _disagrees(path, key, getattr(metrics, key), expected[key])
    for fold in {**metrics.auc_by_fold, **expected["auc_by_fold"]}:
        found, right = metrics.auc_by_fold.get(fold), expected["auc_by_fold"].get(fold)
        if not _same(found, right):
            raise _disagrees(path, f"auc_by_fold > {fold}", found, right)
    _check_interval(path, metrics)


def _check_interval(path: Path, metrics: Metrics) -> None:
    """An interval that was stored has both its ends or none, and the score between them."""
    if metrics.interval is None:
        return
    low, high = (pd.to_numeric(metrics.interval.get(key), errors="coerce") for key in ("low", "high"))
    unknown = math.isnan(low) and math.isnan(high) and "low" in metrics.interval
    if not unknown and not low <= metrics.auc_pooled <= high:
        found = f"{metrics.interval.get('low')} to {metrics.interval.get('high')}"
        raise _disagrees(path, "interval > low to high", found, f"a score of {metrics.auc_pooled}")


def check_blend_audit(
    path: Path, audit: BlendAudit, folds_fingerprint: str, scores: dict[str, float]
) -> None:
    """Hold the audit of the blend against itself, the split, and the blends' scores (by name of the blend).

    Raises:
        ArtifactRefusal: something does not fit; names the key.
    """
    if audit.folds_fingerprint != folds_fingerprint:
        raise _disagrees(path, "folds_fingerprint", audit.folds_fingerprint, folds_fingerprint)
    rules = {one.rule: one for one in audit.rules}
    if audit.chosen not in rules:
        raise _disagrees(path, "chosen", audit.chosen, f"one of {', '.join(rules)}")
    reference = rules.get("logit_mean")
    for number, one in enumerate(audit.rules):
        key = f"rules > {number} ({one.rule}) >"
        stored = scores.get(audit.blend(one.rule), one.auc_cross_fitted)
        if not _same(one.auc_cross_fitted, stored):
            raise _disagrees(path, f"{key} auc_cross_fitted", one.auc_cross_fitted, stored)
        if not _same(one.optimism, one.auc_in_sample - one.auc_cross_fitted):
            raise _disagrees(path, f"{key} optimism", one.optimism, one.auc_in_sample - one.auc_cross_fitted)
        if (
            reference
            and one.gain is not None
            and not _same(one.gain, one.auc_cross_fitted - reference.auc_cross_fitted)
        ):
            expected = one.auc_cross_fitted - reference.auc_cross_fitted
            raise _disagrees(path, f"{key} gain", one.gain, expected)
    if audit.correlation is not None:
        shape = np.array([len(row) for row in audit.correlation.spearman])
        names = len(audit.correlation.names)
        if len(shape) != names or (shape != names).any():
            raise _disagrees(
                path, "correlation > spearman", f"{shape.tolist()} numbers a row", f"{names} x {names}"
            )


def check_weights(path: Path, weights: Weights, audit: BlendAudit | None) -> None:
    """Hold weights.json against itself and, of a rule the audit judged, against that.

    Raises:
        ArtifactRefusal: the sizes of the weights do not add up to 1, or the audit knows others; names the member.
    """
    total = math.fsum(abs(weight) for weight in weights.weights.values())
    judged = {one.rule: one.weights or {} for one in audit.rules} if audit else {}
    for member, expected in judged.get(weights.rule, {}).items():
        if not _same(weights.weights.get(member), expected):
            raise _disagrees(path, f"weights > {member}", weights.weights.get(member), expected)
    if not _same(total, 1.0):
        raise _disagrees(path, "weights, their sizes added up,", total, 1.0)


def _same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=0, abs_tol=AGREEMENT)


def _disagrees(path: Path, key: str, found: object, expected: object) -> ArtifactRefusal:
    remedy = f"if a run is at work in this folder, ask again when it has ended; else {remedy_for(path)}"
    return ArtifactRefusal(
        f"{path}: {key} is {found}; the files it is about say {expected}: something was changed, or an older "
        "version scored it.",
        f"{expected}",
        remedy,
    )
