"""From the weights as training left them to those that are kept: averages, and statistics that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import keras
import numpy as np

from histoblend.config_training import Training
from histoblend.data.batches import TrainingFeed
from histoblend.data.feed_workers import FeedWorkers
from histoblend.training.callbacks import EpochRecord
from histoblend.training.normalisation import has_statistics, recompute_statistics
from histoblend.training.state import assign_values

STATISTICS_PATCHES = 4096  # enough for per-channel means and variances; a pass over all would cost an epoch


def finisher(
    model: keras.Model,
    weights: Sequence[keras.Variable],
    record: EpochRecord,
    training: Training,
    batches: Callable[[], Iterable[np.ndarray]],
) -> Callable[[], None]:
    """A function that turns the raw weights into those that are kept.

    Args:
        weights: what learns somewhere in the training, in the order of the record's average.
        batches: patches for the statistics.
    """

    def finish() -> None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        if record.average:
            assign_values(list(weights), record.average)
        if training.normalisation_statistics == "recomputed" and has_statistics(model):
            recompute_statistics(model, batches())

    return finish


def statistics_batches(feed: TrainingFeed, first_step: int) -> Callable[[], Iterable[np.ndarray]]:
    """Batches of patches for the statistics, augmented as in training but not blended: those predicted are not either.

    They come from a feed of their own, after the last step of the training: Keras reads the other one in a thread.
    """
    sampling = replace(feed.sampling, mixup=0.0)
    apart = TrainingFeed(feed.source, sampling, feed.transforms, FeedWorkers(0))

    def batches() -> Iterable[np.ndarray]:
        patches = min(STATISTICS_PATCHES, len(apart.source.rows))
        for number in range(-(-patches // sampling.batch_size)):
            yield apart.batch(first_step + number).images

    return batches
