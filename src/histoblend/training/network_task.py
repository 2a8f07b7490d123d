"""A task whose experiment is a Keras network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from histoblend.config_training import Training
from histoblend.data.augmentations import resolve_augmentation
from histoblend.data.batches import Sampling, TrainingFeed
from histoblend.data.folds import inner_split
from histoblend.data.training_rows import TrainingRows
from histoblend.errors import ArtifactRefusal, ConfigRefusal, some
from histoblend.inference.predict import network_logits, view_logits
from histoblend.models.dihedral_fold import exported_model, folded_model
from histoblend.models.outputs import probability_model, without_optimizer
from histoblend.training.fit import PREDICTION_BATCH, FitJob, InnerRows, fit
from histoblend.training.observer import Observer
from histoblend.training.state import load_state
from histoblend.training.task import Task, TaskInputs, Trained, set_aside
from histoblend.training.teachers import with_pseudo_labels
from histoblend.workspace import atomic_write, fingerprint


def train_network(task: Task, inputs: TaskInputs, views: tuple[int, ...], observer: Observer) -> Trained:
    """Fit the experiment's network on all folds but the task's, and keep its weights."""
    started = time.monotonic()
    job, tables = _taught_job(task, inputs, observer)
    _set_aside_unusable_state(job, tuple(tables), inputs.tell)
    observer.on_start(task.experiment.training.epochs, job.feed.steps_per_epoch)
    model, history = fit(job)
    with atomic_write(task.folder.weights) as temporary:
        without_optimizer(model).save_weights(temporary)
    inference = folded_model(model)
    if task.experiment.training.save_model:
        with atomic_write(task.folder.saved_model) as temporary:
            probability_model(exported_model(model)).save(temporary)

    images = {"train": inputs.pack.train_images(), "test": inputs.pack.test_images()}

    def predict(part: str, rows: np.ndarray) -> np.ndarray:
        return view_logits(network_logits(inference), images[part], rows, views, PREDICTION_BATCH)

    fitting = sum(row["seconds"] for row in history)  # of all sessions, where there were several
    seconds = max(fitting, time.monotonic() - started)
    return Trained(predict, seconds, _images_seen(job, history), history, tables)


def fit_job(task: Task, inputs: TaskInputs, observer: Observer) -> FitJob:
    """What `fit` needs for this task: what it draws from, an inner split where one is watched, its feed."""
    return _taught_job(task, inputs, observer)[0]


def _taught_job(task: Task, inputs: TaskInputs, observer: Observer) -> tuple[FitJob, dict[str, str]]:
    """The job of `fit_job`, and the hash of each teacher's test table that its pseudo-labels came from."""
    training = task.experiment.training
    source, inner = _labelled(task, inputs)
    _check_classes(source, training, inputs.classes)
    taught = with_pseudo_labels(task, inputs, source)
    if taught is not None:
        inputs.tell(taught.sentence)
        source = taught.source
    job = FitJob(
        experiment=task.experiment,
        feed=TrainingFeed(
            source, _sampling(task), resolve_augmentation(task.experiment.augmentation), inputs.workers
        ),
        # A state belongs to the very tables its student was taught with.
        fingerprint=fingerprint([task.fingerprint, taught.tables]) if taught else task.fingerprint,
        precision=task.precision,
        problem=task.experiment.problem(inputs.pack.side, len(inputs.classes)),
        state_path=task.folder.state,
        inner=inner,
        tensorboard_path=task.folder.tensorboard if training.tensorboard else None,
        jit_compile=inputs.device.jit_compile,
        observer=observer,
        deadline=task.deadline,
        device=inputs.device.label,
    )
    return job, taught.tables if taught else {}


def _labelled(task: Task, inputs: TaskInputs) -> tuple[TrainingRows, InnerRows | None]:
    """The labelled patches of all folds but the task's, and the inner split that was cut from them."""
    chosen = (inputs.folds["fold"] != task.fold).to_numpy()
    inner = None
    if task.experiment.needs_inner_split:
        fraction = task.experiment.training.inner_fraction
        cut = inner_split(inputs.folds, chosen, fraction, task.experiment.seed)
        held = inputs.folds[cut]
        inner = InnerRows(inputs.pack.train_images(), held.index.to_numpy(), held["label"].to_numpy())
        chosen = chosen & ~cut
    rows = inputs.folds[chosen]
    images, classes = str(inputs.pack.folder / "train.npy"), len(inputs.classes)
    return TrainingRows(images, rows.index.to_numpy(), rows["label"].to_numpy(), classes), inner


def _sampling(task: Task) -> Sampling:
    training = task.experiment.training
    # Each fold draws its own order and augmentations: equal ones would make the folds' errors alike.
    seed = task.experiment.seed * 1000 + task.fold
    return Sampling(seed, training.batch_size, training.samples_per_epoch, training.balanced, training.mixup)


def _check_classes(source: TrainingRows, training: Training, classes: tuple[str, ...]) -> None:
    """Refuse to balance classes of which one has no labelled patch.

    Raises:
        ConfigRefusal: one has none.
    """
    counts = np.bincount(source.labels, minlength=len(classes))
    missing = [name for name, count in zip(classes, counts, strict=True) if not count]
    settings = {
        "training.balanced: false": training.balanced,
        "training.class_weight: none": training.class_weight == "balanced",
    }
    if missing and any(settings.values()):
        raise ConfigRefusal(
            f"No patch of {some(missing)} among the {len(source.labels):,} that are trained on, so the classes cannot "
            "be balanced.",
            "a patch of each class in the training folds",
            f"set {' and '.join(key for key, is_set in settings.items() if is_set)}, or take other folds.",
        )


def _images_seen(job: FitJob, history: list[dict[str, float]]) -> int:
    return len(history) * job.feed.steps_per_epoch * job.feed.sampling.batch_size


def _set_aside_unusable_state(job: FitJob, teachers: Sequence[str], tell: Callable[[str], None]) -> None:
    """Move a state away that is damaged, or whose training learned from other tables of its teachers."""
    if not job.state_path.exists():
        return
    try:
        load_state(job.state_path, job.fingerprint)
    except ArtifactRefusal as refusal:
        aside = set_aside(job.state_path)
        why = f" Or to other tables of {some(teachers)} than are there now." if teachers else ""
        tell(f"{refusal.found}{why} Moved to {aside.name}; the task starts from its first epoch.")
