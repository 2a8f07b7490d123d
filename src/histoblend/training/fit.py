"""Fitting one network on the training folds of one task, resumable after every epoch.

`keras.Model.fit` copies the averaged weights into the model when it ends; the state written between epochs holds
the raw weights. So each stage of a training is one call, and each begins from the saved state, whether the stage
before ended a moment ago or was killed last week: there is no other way into a stage.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from histoblend.config_experiment import Experiment
from histoblend.data.batches import TrainingFeed
from histoblend.evaluation.auc import class_auc, one_vs_rest
from histoblend.inference.predict import network_logits, view_logits
from histoblend.models.outputs import logit_model
from histoblend.models.problem import Problem
from histoblend.models.registry import build_network
from histoblend.training import callbacks as between
from histoblend.training.deadline import Deadline, Pace, TaskPaused
from histoblend.training.depth import Parts, let_learn, network_parts, rate_shares
from histoblend.training.feed import KerasFeed, balanced_class_weights
from histoblend.training.keeping import finisher, statistics_batches
from histoblend.training.losses import training_accuracy, training_loss
from histoblend.training.observer import Observer
from histoblend.training.optimizers import TabledRate, build_optimizer
from histoblend.training.schedules import plateau_factor, ramped, rate_table
from histoblend.training.selection import should_stop
from histoblend.training.stages import averaged_from, span_at, watched_from
from histoblend.training.state import assign_values, load_state

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
    deadline: Deadline | None = None
    device: str = ""

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


def compile_model(
    model: keras.Model, job: FitJob, first_step: int = 0, shares: list[float] | None = None
) -> None:
    """Attach the experiment's loss and optimizer to `model` and create the optimizer's variables.

    Args:
        first_step: step of the training at which this optimizer begins.
        shares: see `build_optimizer`.
    """
    experiment, training = job.experiment, job.experiment.training
    table = _rates(job, first_step)
    rate = float(table[0]) if experiment.schedule.name == "plateau" else TabledRate(table)
    model.compile(
        optimizer=build_optimizer(experiment.optimizer, rate, training.ema, shares),
        loss=training_loss(job.problem, training.label_smoothing),
        metrics=[training_accuracy(job.problem)],
        jit_compile=job.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)


def _rates(job: FitJob, first_step: int) -> np.ndarray:
    """The rate of each step from `first_step` on, where an optimizer begins; in mid-training it climbs for an epoch."""
    experiment = job.experiment
    table = rate_table(experiment.schedule, experiment.optimizer.learning_rate, job.total_steps)[first_step:]
    return ramped(table, job.feed.steps_per_epoch) if first_step else table


def fit(job: FitJob) -> tuple[keras.Model, between.History]:
    """Train, going on from a saved state if there is one.

    Returns:
        The model up to its logits with the weights that are kept, ready for inference, and the history.

    Raises:
        ArtifactRefusal: the saved state is damaged or belongs to another configuration.
        ConfigRefusal: the training diverged, where an inner split is watched.
        MachineRefusal: a process of the feed died.
        TaskPaused: the deadline allows no further epoch, or not what follows the last one; the state is saved.
    """
    model = build_model(job.experiment, job.precision, job.problem)
    parts = network_parts(model)
    pace = Pace(job.deadline)
    while not _ended(job, record := _entered(model, job, parts)):
        _fit_stage(model, job, parts, record, pace)
        if not _ended(job, record) and not pace.allows_epoch():
            raise TaskPaused(len(record.history))
    if not pace.allows_closing():
        raise TaskPaused(len(record.history))
    if job.experiment.training.selection == "best":
        assign_values(model.variables, record.best)
    else:
        _finisher(model, job, parts, record)()
    return model, record.history


def _ended(job: FitJob, record: between.EpochRecord) -> bool:
    return len(record.history) >= job.experiment.training.epochs or _stops(job, record.history)


def _stops(job: FitJob, history: between.History) -> bool:
    """Whether patience is at its end: that of the last stage, since a body that is frozen brings nothing better."""
    training = job.experiment.training
    return job.inner is not None and should_stop(_watched(job, history), training.stop_patience)


def _watched(job: FitJob, history: between.History) -> list[float]:
    return between.inner_aucs(history)[watched_from(job.experiment.training) :]


def _entered(model: keras.Model, job: FitJob, parts: Parts) -> between.EpochRecord:
    """Make `model` as it was after the last epoch, ready for the next one or, at the end, to be finished.

    A stage begins with an optimizer of its own, since another set of weights learns in it; its rate climbs over the
    stage's first epoch.
    """
    state = load_state(job.state_path, job.fingerprint) if job.state_path.exists() else None
    record = between.EpochRecord([], [])
    if state is not None:
        record = between.EpochRecord(state.history, state.best, state.average)
    done = len(record.history)
    span = span_at(job.experiment.training, done - 1 if _ended(job, record) else done)
    let_learn(parts, span.body)
    compile_model(model, job, span.first * job.feed.steps_per_epoch, _shares(model, job, parts))
    if state is not None:
        assign_values(model.variables, state.model)
        if done > span.first:
            assign_values(model.optimizer.variables, state.optimizer)
    return record


def _shares(model: keras.Model, job: FitJob, parts: Parts) -> list[float] | None:
    first = job.experiment.optimizer.first_layer_rate
    return None if first == 1 else rate_shares(parts, first, model.trainable_variables)


def _fit_stage(
    model: keras.Model, job: FitJob, parts: Parts, record: between.EpochRecord, pace: Pace
) -> None:
    """Train from the epoch the record stands at to the end of its stage, or as far as time allows."""
    done = len(record.history)
    feed = keras_feed(job, done * job.feed.steps_per_epoch)
    with feed.refusals():
        model.fit(
            feed,
            initial_epoch=done,
            epochs=span_at(job.experiment.training, done).last,
            steps_per_epoch=job.feed.steps_per_epoch,
            shuffle=False,  # the feed has its own order
            verbose=0,
            callbacks=[*_callbacks(model, job, parts, record), between.StopInTime(pace)],
        )


def _finisher(
    model: keras.Model, job: FitJob, parts: Parts, record: between.EpochRecord
) -> Callable[[], None]:
    batches = statistics_batches(job.feed, job.total_steps)
    return finisher(model, parts.weights, record, job.experiment.training, batches)


def keras_feed(job: FitJob, first_step: int) -> KerasFeed:
    """The job's batches as the network learns from them, from `first_step` on."""
    return KerasFeed(job.feed, first_step, _class_weights(job))


def _class_weights(job: FitJob) -> np.ndarray | None:
    if job.experiment.training.class_weight == "none":
        return None
    return balanced_class_weights(job.feed.source.labels, job.problem.classes)


def _callbacks(
    model: keras.Model, job: FitJob, parts: Parts, record: between.EpochRecord
) -> list[keras.callbacks.Callback]:
    training = job.experiment.training
    images_per_epoch = job.feed.steps_per_epoch * training.batch_size
    chosen: list[keras.callbacks.Callback] = [between.Bookkeeping(record, images_per_epoch)]
    if training.average_last:
        chosen.append(between.AverageWeights(record, parts.weights, averaged_from(training)))
    if job.inner is not None:
        score, finish = _inner_score(model, job.inner), _finisher(model, job, parts, record)
        best, stop = training.selection == "best", functools.partial(_stops, job)
        chosen.append(between.InnerSplit(record, finish, score, best, stop))
    if job.experiment.schedule.name == "plateau":
        chosen.append(between.RateByEpoch(record, _plateau_rate(job, len(record.history))))
    if job.tensorboard_path is not None and tensorboard_installed():
        chosen.append(
            keras.callbacks.TensorBoard(str(job.tensorboard_path), write_graph=False, profile_batch=0)
        )
    chosen.append(between.SaveState(job.state_path, job.fingerprint, record, job.device))
    chosen.append(between.StepProgress(record, job.observer.on_step, job.observer.on_epoch))
    return chosen


def _plateau_rate(job: FitJob, done: int) -> Callable[[int, between.History], float]:
    first, steps = span_at(job.experiment.training, done).first, job.feed.steps_per_epoch
    table = _rates(job, first * steps)

    def rate(epoch: int, history: between.History) -> float:
        factor = plateau_factor(job.experiment.schedule, _watched(job, history))
        start = (epoch - first) * steps
        return float(table[start : start + steps].mean()) * factor

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
