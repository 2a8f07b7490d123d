"""Fitting one network on the training folds of one task, resumable after every epoch.

`keras.Model.fit` copies the averaged weights into the model when it ends, so a task is one call from the epoch
it stands at to the last; the state written between epochs holds the raw weights.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from histoblend.config_experiment import Experiment
from histoblend.data.batches import FeedWorkers, TrainingFeed
from histoblend.evaluation.auc import class_auc, one_vs_rest
from histoblend.inference.predict import network_logits, view_logits
from histoblend.models.outputs import logit_model
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.training import callbacks as between
from histoblend.training.feed import KerasFeed, balanced_class_weights
from histoblend.training.normalisation import has_statistics, recompute_statistics
from histoblend.training.observer import Observer
from histoblend.training.optimizers import TabledRate, build_optimizer
from histoblend.training.schedules import plateau_factor, rate_table
from histoblend.training.selection import should_stop
from histoblend.training.state import assign_values, load_state

STATISTICS_PATCHES = 4096  # enough for per-channel means and variances; a pass over all would cost an epoch
PREDICTION_BATCH = 128


@dataclass(frozen=True)
class InnerRows:
    """The inner split: rows (int64) of `images` with their labels, cut from the training folds."""

    images: np.ndarray
    rows: np.ndarray
    labels: np.ndarray


@dataclass
class FitJob:
    """One fit: the experiment, its feed, where its state lies and whom to tell."""

    experiment: Experiment
    feed: TrainingFeed
    fingerprint: str
    precision: str
    state_path: Path
    inner: InnerRows | None = None
    tensorboard_path: Path | None = None
    jit_compile: bool | str = False
    observer: Observer = field(default_factory=Observer)
    problem: Problem = field(default_factory=Problem)

    @property
    def total_steps(self) -> int:
        """Steps of the full length."""
        return self.experiment.training.epochs * self.feed.steps_per_epoch


def build_model(experiment: Experiment, precision: str, problem: Problem = Problem()) -> keras.Model:
    """The experiment's network up to its logits, with weights drawn from the experiment's seed."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(experiment.seed)
    keras.config.set_dtype_policy(precision)
    network = build_network(experiment.network.name, experiment.network.parameters, problem)
    return logit_model(network)


def compile_model(model: keras.Model, job: FitJob) -> None:
    """Attach the experiment's loss and optimizer to `model` and create the optimizer's variables."""
    experiment, training = job.experiment, job.experiment.training
    table = rate_table(experiment.schedule, experiment.optimizer.learning_rate, job.total_steps)
    rate = float(table[0]) if experiment.schedule.name == "plateau" else TabledRate(table)
    model.compile(
        optimizer=build_optimizer(experiment.optimizer, rate, training.ema),
        loss=_loss(job.problem, training.label_smoothing),
        metrics=[_accuracy(job.problem)],
        jit_compile=job.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)


def _loss(problem: Problem, smoothing: float) -> keras.losses.Loss:
    if problem.outputs == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


def _accuracy(problem: Problem) -> keras.metrics.Metric:
    if problem.outputs == 1:
        return keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")
    return keras.metrics.CategoricalAccuracy(name="accuracy")


def fit(job: FitJob) -> tuple[keras.Model, between.History]:
    """Train, going on from a saved state if there is one.

    Returns:
        The model up to its logits with the weights that are kept, ready for inference, and the history.

    Raises:
        ArtifactRefusal: the saved state is damaged or belongs to another configuration.
        ConfigRefusal: the training diverged, where an inner split is watched.
        MachineRefusal: a process of the feed died.
    """
    model = build_model(job.experiment, job.precision, job.problem)
    compile_model(model, job)
    record = _restored(model, job)
    epochs, done = job.experiment.training.epochs, len(record.history)
    finish = _finisher(model, job)
    stopped = job.inner is not None and should_stop(
        between.inner_aucs(record.history), job.experiment.training.stop_patience
    )
    if done < epochs and not stopped:
        feed = KerasFeed(job.feed, done * job.feed.steps_per_epoch, _class_weights(job))
        with feed.refusals():
            model.fit(
                feed,
                initial_epoch=done,
                epochs=epochs,
                steps_per_epoch=job.feed.steps_per_epoch,
                shuffle=False,  # the feed has its own order
                verbose=0,
                callbacks=_callbacks(model, job, record, finish),
            )
    if job.experiment.training.selection == "best":
        assign_values(model.variables, record.best)
    else:
        finish()
    return model, record.history


def _restored(model: keras.Model, job: FitJob) -> between.EpochRecord:
    if not job.state_path.exists():
        return between.EpochRecord([], [])
    state = load_state(job.state_path, job.fingerprint)
    assign_values(model.variables, state.model)
    assign_values(model.optimizer.variables, state.optimizer)
    return between.EpochRecord(state.history, state.best)


def _finisher(model: keras.Model, job: FitJob) -> Callable[[], None]:
    """A function that turns the raw weights into those that are kept."""
    recomputes = job.experiment.training.normalisation_statistics == "recomputed" and has_statistics(model)
    # A feed of its own, after the last step of the training: Keras reads the other one in a thread.
    feed = TrainingFeed(job.feed.source, job.feed.sampling, job.feed.transforms, FeedWorkers(0))

    def batches() -> Iterable[np.ndarray]:
        patches = min(STATISTICS_PATCHES, len(feed.source.rows))
        for number in range(-(-patches // feed.sampling.batch_size)):
            yield feed.batch(job.total_steps + number)[0]

    def finish() -> None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        if recomputes:
            recompute_statistics(model, batches())

    return finish


def _class_weights(job: FitJob) -> np.ndarray | None:
    if job.experiment.training.class_weight == "none":
        return None
    return balanced_class_weights(job.feed.source.labels, job.problem.classes)


def _callbacks(
    model: keras.Model, job: FitJob, record: between.EpochRecord, finish: Callable[[], None]
) -> list[keras.callbacks.Callback]:
    training = job.experiment.training
    images_per_epoch = job.feed.steps_per_epoch * training.batch_size
    chosen: list[keras.callbacks.Callback] = [between.Bookkeeping(record, images_per_epoch)]
    if job.inner is not None:
        score = _inner_score(model, job.inner)
        best = training.selection == "best"
        chosen.append(between.InnerSplit(record, finish, score, best, training.stop_patience))
    if job.experiment.schedule.name == "plateau":
        chosen.append(between.RateByEpoch(record, _plateau_rate(job)))
    if job.tensorboard_path is not None and tensorboard_installed():
        chosen.append(
            keras.callbacks.TensorBoard(str(job.tensorboard_path), write_graph=False, profile_batch=0)
        )
    chosen.append(between.SaveState(job.state_path, job.fingerprint, record))
    chosen.append(between.StepProgress(record, job.observer.on_step, job.observer.on_epoch))
    return chosen


def _plateau_rate(job: FitJob) -> Callable[[int, between.History], float]:
    experiment = job.experiment
    table = rate_table(experiment.schedule, experiment.optimizer.learning_rate, job.total_steps)

    def rate(epoch: int, history: between.History) -> float:
        factor = plateau_factor(experiment.schedule, between.inner_aucs(history))
        steps = job.feed.steps_per_epoch
        return float(table[epoch * steps : (epoch + 1) * steps].mean()) * factor

    return rate


def _inner_score(model: keras.Model, inner: InnerRows) -> Callable[[], float]:
    def score() -> float:
        logits = view_logits(network_logits(model), inner.images, inner.rows, (0,), PREDICTION_BATCH)
        return class_auc(inner.labels, one_vs_rest(logits[:, 0]))

    return score


def tensorboard_installed() -> bool:
    """Whether Keras can write TensorBoard logs here: it needs TensorFlow and TensorBoard."""
    needed = ("tensorflow", "tensorboard")
    return keras.backend.backend() == "tensorflow" and all(map(importlib.util.find_spec, needed))
