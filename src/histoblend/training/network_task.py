"""A task whose experiment is a Keras network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from histoblend.data.augmentations import resolve_augmentation
from histoblend.data.batches import Sampling, TrainingFeed
from histoblend.data.folds import inner_split
from histoblend.data.training_rows import TrainingRows
from histoblend.errors import ArtifactRefusal
from histoblend.inference.predict import network_logits, view_logits
from histoblend.models.dihedral_fold import exported_model, folded_model
from histoblend.models.outputs import probability_model
from histoblend.training.fit import PREDICTION_BATCH, FitJob, InnerRows, fit
from histoblend.training.observer import Observer
from histoblend.training.state import load_state
from histoblend.training.task import Task, TaskInputs, Trained, set_aside
from histoblend.training.teachers import taught
from histoblend.workspace import atomic_write, fingerprint


def train_network(task: Task, inputs: TaskInputs, views: tuple[int, ...], observer: Observer) -> Trained:
    """Fit the experiment's network on all folds but the task's, and keep its weights."""
    started = time.monotonic()
    job = fit_job(task, inputs, observer)
    _set_aside_damaged_state(job.state_path, job.fingerprint, inputs.tell)
    observer.on_start(task.experiment.training.epochs, job.feed.steps_per_epoch)
    model, history = fit(job)
    with atomic_write(task.folder.weights) as temporary:
        model.save_weights(temporary)
    inference = folded_model(model)
    if task.experiment.training.save_model:
        with atomic_write(task.folder.saved_model) as temporary:
            probability_model(exported_model(model)).save(temporary)

    images = {"train": inputs.pack.train_images(), "test": inputs.pack.test_images()}

    def predict(part: str, rows: np.ndarray) -> np.ndarray:
        return view_logits(network_logits(inference), images[part], rows, views, PREDICTION_BATCH)

    fitting = sum(row["seconds"] for row in history)  # of all sessions, where there were several
    seconds = max(fitting, time.monotonic() - started)
    return Trained(predict, seconds, _images_seen(job, history), history, job.teachers)


def fit_job(task: Task, inputs: TaskInputs, observer: Observer) -> FitJob:
    """What `fit` needs for this task: its training rows, an inner split where one is watched, its feed."""
    training_folds = (inputs.folds["fold"] != task.fold).to_numpy()
    inner = None
    if task.experiment.needs_inner_split:
        fraction = task.experiment.training.inner_fraction
        chosen = inner_split(inputs.folds, training_folds, fraction, task.experiment.seed)
        held = inputs.folds[chosen]
        inner = InnerRows(inputs.pack.train_images(), held.index.to_numpy(), held["label"].to_numpy())
        training_folds = training_folds & ~chosen
    training_rows = inputs.folds[training_folds]
    training = task.experiment.training
    source = TrainingRows(
        str(inputs.pack.folder / "train.npy"),
        training_rows.index.to_numpy(),
        training_rows["label"].to_numpy(),
        len(inputs.classes),
    )
    students = taught(task, inputs, source)
    if students is not None:
        inputs.tell(students.sentence)
    # Each fold draws its own order and augmentations: equal ones would make the folds' errors alike.
    seed = task.experiment.seed * 1000 + task.fold
    sampling = Sampling(
        seed, training.batch_size, training.samples_per_epoch, training.balanced, training.mixup
    )
    transforms = resolve_augmentation(task.experiment.augmentation)
    return FitJob(
        experiment=task.experiment,
        feed=TrainingFeed(students.source if students else source, sampling, transforms, inputs.workers),
        # A state belongs to the very tables its student was taught with.
        fingerprint=fingerprint([task.fingerprint, students.tables]) if students else task.fingerprint,
        precision=task.precision,
        problem=task.experiment.problem(inputs.pack.side, len(inputs.classes)),
        state_path=task.folder.state,
        inner=inner,
        tensorboard_path=task.folder.tensorboard if training.tensorboard else None,
        jit_compile=inputs.device.jit_compile,
        observer=observer,
        teachers=students.tables if students else {},
    )


def _images_seen(job: FitJob, history: list[dict[str, float]]) -> int:
    return len(history) * job.feed.steps_per_epoch * job.feed.sampling.batch_size


def _set_aside_damaged_state(path: Path, expected: str, tell: Callable[[str], None]) -> None:
    if not path.exists():
        return
    try:
        load_state(path, expected)
    except ArtifactRefusal as refusal:
        aside = set_aside(path)
        tell(f"{refusal.found} Moved to {aside.name}; the task starts from its first epoch.")
