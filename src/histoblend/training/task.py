"""One task: one experiment on one fold, from its training rows to its tables of predictions.

A task is done when `done.json` stands in its folder; it carries the hash of every file beside it. What is
missing or damaged is made again; everything that is whole is kept.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from histoblend.config_experiment import Experiment
from histoblend.data.feed_workers import FeedWorkers
from histoblend.data.pack import Pack
from histoblend.data.views import IDENTITY
from histoblend.errors import ArtifactRefusal
from histoblend.evaluation.auc import class_auc, one_vs_rest
from histoblend.execution.device import Device
from histoblend.inference.tables import out_of_fold_table, test_table, write_out_of_fold, write_test
from histoblend.training.deadline import Deadline
from histoblend.workspace import TaskFolder, Workspace, file_hash, read_json, write_csv, write_json


@dataclass(frozen=True)
class Task:
    """One experiment on one fold."""

    experiment: Experiment
    fold: int
    folder: TaskFolder
    fingerprint: str
    precision: str
    deadline: Deadline | None = None
    """When it has to stop at an epoch's end; None for never. What cannot be cut does not look at it."""


@dataclass(frozen=True)
class TaskInputs:
    """What all tasks of a run share.

    `folds` has the columns id, label, slide, fold, twins; its index counts the rows of the pack's train array.
    """

    workspace: Workspace
    pack: Pack
    folds: pd.DataFrame
    device: Device
    workers: FeedWorkers
    synthetic: bool
    classes: tuple[str, ...]
    tell: Callable[[str], None]


@dataclass(frozen=True)
class Predicted:
    """Logits of one task: float64 (patches, views, outputs), the first view being the identity."""

    out_of_fold: np.ndarray
    test: np.ndarray


@dataclass
class Trained:
    """What training gave: how to get logits, what it cost, how it went."""

    predict: Callable[[str, np.ndarray], np.ndarray]
    """(``train`` or ``test``, rows of that part) -> float64 logits (rows, views, outputs); at least one row."""
    seconds: float
    images: int
    history: list[dict[str, float]] = field(default_factory=list)
    teachers: dict[str, str] = field(default_factory=dict)
    """Hash of each teacher's test table it learned from."""


def recorded_files(folder: TaskFolder) -> list[Path]:
    """The files of a finished task that exist, those that `done.json` vouches for."""
    candidates = [folder.weights, folder.history, folder.out_of_fold, folder.test]
    return [path for path in candidates if path.exists()]


def damaged_files(folder: TaskFolder) -> list[Path]:
    """Files of a finished task that are gone or whose bytes are no longer those that were written.

    Raises:
        ArtifactRefusal: `done.json` itself is damaged.
    """
    hashes: dict[str, str] = read_json(folder.done)["files"]
    paths = [folder.folder / name for name in hashes]
    return [path for path in paths if not path.exists() or file_hash(path) != hashes[path.name]]


def check_whole(folder: TaskFolder) -> None:
    """Check the files of a finished task.

    Raises:
        ArtifactRefusal: one is damaged.
    """
    if damaged := damaged_files(folder):
        raise ArtifactRefusal(
            f"Damaged: {', '.join(path.name for path in damaged)} in {folder.folder}.",
            "the files as they were written",
            "run this experiment again: the damaged fold is put aside and made anew.",
        )


def is_done(folder: TaskFolder, fingerprint: str, tell: Callable[[str], None]) -> bool:
    """Whether the task is finished and its files are whole; a damaged one is set aside, aloud.

    Raises:
        ArtifactRefusal: it was finished with another configuration, data set or split.
    """
    if not folder.done.exists():
        return False
    try:
        damaged = damaged_files(folder)
    except (ArtifactRefusal, KeyError, TypeError):
        damaged = [folder.done]
    if not damaged:
        _check_fingerprint(folder, fingerprint)
        return True
    names = ", ".join(path.name for path in damaged)
    aside = set_aside(folder.folder)
    tell(f"Damaged: {names} in {folder.folder}. Moved to {aside}; this task is run again.")
    return False


def _check_fingerprint(folder: TaskFolder, fingerprint: str) -> None:
    found = read_json(folder.done).get("fingerprint")
    if found != fingerprint:
        raise ArtifactRefusal(
            f"{folder.folder} was made with another configuration, data set or split ({found}).",
            f"fingerprint {fingerprint}, as in config.yaml beside it",
            f"choose another --output, or: ./run.sh archive {folder.folder.parent.name} "
            f"--output {folder.folder.parents[2]}",
        )


def set_aside(folder: Path) -> Path:
    """Rename `folder` to a free name beside it that says it is damaged."""
    for number in range(1, 1000):
        target = folder.with_name(f"{folder.name}.damaged-{number}")
        if not target.exists():
            folder.rename(target)
            return target
    raise ArtifactRefusal(f"{folder} was damaged a thousand times.", "", "clear its neighbours away.")


Trainer = Callable[[Task, TaskInputs], Trained]


def run_task(task: Task, inputs: TaskInputs, train: Trainer) -> dict[str, Any]:
    """Train and predict one task and write its files; `done.json` comes last.

    Returns:
        The content of `done.json`.

    Raises:
        TaskPaused: it stopped at an epoch's end, since its deadline came near; its state is saved.
    """
    trained = train(task, inputs)
    held_out = inputs.folds[inputs.folds["fold"] == task.fold]
    started = time.monotonic()
    predicted = _predicted(trained, held_out.index.to_numpy(), len(inputs.pack.test))
    prediction_seconds = time.monotonic() - started
    record = _metrics(predicted, held_out["label"].to_numpy())
    record |= {"fold": task.fold, "fingerprint": task.fingerprint, "precision": task.precision}
    record |= {"train_seconds": trained.seconds, "prediction_seconds": prediction_seconds}
    record["device"] = inputs.device.label
    record["images_per_second"] = trained.images / max(trained.seconds, 1e-9)
    if trained.teachers:
        record["teachers"] = trained.teachers
    _write(task, inputs, predicted, held_out, trained)
    record["files"] = {path.name: file_hash(path) for path in recorded_files(task.folder)}
    write_json(task.folder.done, record)
    shutil.rmtree(task.folder.state.parent, ignore_errors=True)  # served its purpose; thrice the weights
    return record


def _predicted(trained: Trained, held_out: np.ndarray, test: int) -> Predicted:
    """Logits of the held-out rows and of `test` test patches, of which there may be none."""
    out_of_fold = trained.predict("train", held_out)
    if not test:
        return Predicted(out_of_fold, np.empty((0, *out_of_fold.shape[1:])))
    return Predicted(out_of_fold, trained.predict("test", np.arange(test)))


def _metrics(predicted: Predicted, labels: np.ndarray) -> dict[str, Any]:
    return {
        "auc": class_auc(labels, one_vs_rest(predicted.out_of_fold.mean(axis=1))),
        "auc_one_view": class_auc(labels, one_vs_rest(predicted.out_of_fold[:, IDENTITY])),
        "views": predicted.out_of_fold.shape[1],
        "patches": len(labels),
    }


def _write(
    task: Task, inputs: TaskInputs, predicted: Predicted, held_out: pd.DataFrame, trained: Trained
) -> None:
    if trained.history:
        write_csv(task.folder.history, pd.DataFrame(trained.history))
    table = out_of_fold_table(held_out, predicted.out_of_fold.mean(axis=1))
    write_out_of_fold(task.folder.out_of_fold, table, held_out)
    if task.experiment.training.save_model:
        from histoblend.reporting.curves import write_roc_curve  # late: a second, before the task could start

        mark = " (SYNTHETIC patches)" if inputs.synthetic else ""
        title = f"{task.experiment.name}, held-out fold {task.fold}{mark}"
        logits = predicted.out_of_fold.mean(axis=1)
        write_roc_curve(task.folder.roc_curve, table["label"].to_numpy(), logits, title, inputs.classes)
    ids = inputs.pack.test["id"]
    write_test(task.folder.test, test_table(ids, predicted.test.mean(axis=1)), ids)
