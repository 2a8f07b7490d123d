"""Experiments and additions read from an output folder, finished folds and all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from histoblend.artifacts.artifacts import Candidate, Task
from histoblend.artifacts.checks import AGREEMENT, check_fold_scores, check_scores, check_task, read_history
from histoblend.artifacts.forms import Done, read_form, read_metrics
from histoblend.artifacts.shared import Shared, stored_interval
from histoblend.errors import ArtifactRefusal, counted, some
from histoblend.evaluation.metrics import Metrics, areas
from histoblend.execution.records import Record, read_record
from histoblend.external.members import KIND, is_external
from histoblend.inference.tables import read_out_of_fold, read_test, table_logits
from histoblend.predicting.known_models import finished_folds
from histoblend.restoring import remedy_for
from histoblend.workspace import ExperimentFolder
from histoblend.yaml_files import read_yaml


def read_experiments(shared: Shared) -> list[Candidate]:
    """Experiments with a finished fold and additions with a score; what has neither is noted.

    Raises:
        ArtifactRefusal: something of them is damaged; names file and row or key.
    """
    folders = [
        ExperimentFolder(path.parent) for path in sorted(shared.workspace.experiments.glob("*/config.yaml"))
    ]
    read = [_external(one, shared) if is_external(one) else _experiment(one, shared) for one in folders]
    return [one for one in read if one is not None]


def _experiment(folder: ExperimentFolder, shared: Shared) -> Candidate | None:
    """An experiment with at least one finished fold; None, and a sentence, where there is none."""
    name, record = folder.folder.name, read_record(folder)
    tasks = _tasks(folder, record, shared)
    missing = sorted(set(shared.numbers) - {task.fold for task in tasks})
    if missing:
        shared.notes.append(f"{name}: fold {some(missing)} of {len(shared.numbers)} is not finished.")
    if not tasks:
        return None
    metrics, table = _scores(folder, record, tasks, shared)
    check_fold_scores(folder.folder, [task.done for task in tasks], table)
    whole = folder.test.exists() and metrics.complete and shared.test_ids is not None
    test = read_test(folder.test, shared.ids) if whole else None
    if test is not None:
        _check_test(folder, tasks, test, shared)
    interval = stored_interval(metrics)
    network = str((record.content["experiment"].get("network") or {}).get("name", ""))
    return Candidate(metrics, table, interval, test, tasks, network, record.content)


def _check_test(
    folder: ExperimentFolder, tasks: tuple[Task, ...], test: pd.DataFrame, shared: Shared
) -> None:
    """The mean of the folds' logits, whose files their records vouch for."""
    parts = [table_logits(read_test(folder.task(task.fold).test, shared.ids)) for task in tasks]
    unlike = np.abs(table_logits(test) - np.mean(parts, axis=0)).max(axis=1) > AGREEMENT
    if unlike.any():
        raise ArtifactRefusal(
            f"{folder.test} is not the mean of its folds for {some(list(test['id'][unlike]))}.",
            "the mean logit of its folds",
            remedy_for(folder.test),
        )


def _tasks(folder: ExperimentFolder, record: Record, shared: Shared) -> tuple[Task, ...]:
    tasks = []
    for one in finished_folds(folder):
        done, fold = read_form(one.done, Done), int(one.folder.name.removeprefix("fold_"))
        history = read_history(one.history) if one.history.exists() else None
        if fold not in shared.numbers:
            raise ArtifactRefusal(
                f"{one.folder} is of a fold that the split has not.",
                f"folds {some(shared.numbers)}",
                "move that folder away.",
            )
        if not folder.out_of_fold.exists():
            read_out_of_fold(one.out_of_fold, shared.rows([fold]))  # names the row that a hash cannot
        check_task(one, done, fold, record.fingerprint)
        tasks.append(Task(fold, done, history))
    return tuple(tasks)


def _scores(
    folder: ExperimentFolder, record: Record, tasks: tuple[Task, ...], shared: Shared
) -> tuple[Metrics, pd.DataFrame]:
    """Stored metrics, checked against their table; or those of the finished folds, where a run has not ended yet."""
    name, done = folder.folder.name, [task.fold for task in tasks]
    if not folder.metrics.exists():
        shared.notes.append(
            f"{name}: its run has not come to its end; the scores are of {counted(len(done), 'finished fold')}."
        )
        table = _joined(folder, done, shared)
        about = shared.run.about | {"slides_policy": shared.run.folds.policy}
        kind = "yardstick" if record.content["experiment"].get("role") == "yardstick" else "experiment"
        return Metrics(
            name=name,
            kind=kind,
            complete=done == shared.numbers,
            about=about,
            **_costs(tasks),
            **areas(table),
        ), table
    metrics = read_metrics(folder.metrics)
    if later := sorted(set(done) - set(metrics.folds)):
        shared.notes.append(f"{name}: fold {some(later)} has been finished since its scores were written.")
    whole = metrics.complete
    table = (
        read_out_of_fold(folder.out_of_fold, shared.folds)
        if whole
        else _joined(folder, metrics.folds, shared)
    )
    about = shared.run.about | {"config_fingerprint": record.fingerprint}
    check_scores(folder.metrics, metrics, table, about)
    return metrics, table


def _joined(folder: ExperimentFolder, numbers: list[int], shared: Shared) -> pd.DataFrame:
    """Out-of-fold predictions of some folds, in the order of the split."""
    parts = [read_out_of_fold(folder.task(one).out_of_fold, shared.rows([one])) for one in numbers]
    return pd.concat(parts).set_index("id").loc[shared.rows(numbers)["id"]].reset_index()


def _costs(tasks: tuple[Task, ...]) -> dict[str, Any]:
    done = [task.done for task in tasks]
    gains = [one.auc - one.auc_one_view for one in done if one.views > 1]
    return {
        "tta_gain": float(np.mean(gains)) if gains else None,
        "minutes": sum(one.train_seconds + one.prediction_seconds for one in done) / 60,
        "images_per_second": float(np.mean([one.images_per_second for one in done])),
    }


def _external(folder: ExperimentFolder, shared: Shared) -> Candidate | None:
    """Predictions that were added; None, and a sentence, where they are of the test patches alone."""
    name, settings = folder.folder.name, read_yaml(folder.config)
    if not folder.out_of_fold.exists():
        shared.notes.append(
            f"{name} was added with test predictions alone: nothing says what it is worth, so it has no "
            "score."
        )
        return None
    table = read_out_of_fold(folder.out_of_fold, shared.folds)
    if folder.metrics.exists():
        metrics = read_metrics(folder.metrics)
        check_scores(folder.metrics, metrics, table, shared.run.about)
    else:
        metrics = Metrics(name=name, kind=KIND, complete=True, about=dict(shared.run.about), **areas(table))
    test = read_test(folder.test, shared.ids) if folder.test.exists() else None
    return Candidate(metrics, table, stored_interval(metrics), test, settings=settings)
