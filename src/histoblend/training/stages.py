"""Staged training: which epochs belong to which stage, and how much of the network learns in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from histoblend.config_training import Training


@dataclass(frozen=True)
class Span:
    """Epochs `first` to one before `last`, in which the last `body` (share) of the layers before the head learn."""

    first: int
    last: int
    body: float


def stage_spans(training: Training) -> list[Span]:
    """The stages of a training in whole epochs, one at least each; in the last one everything learns."""
    spans: list[Span] = []
    first, left = 0, len(training.stages)
    for stage in training.stages:
        latest = training.epochs - left  # each stage that follows, and the rest, needs an epoch
        last = min(max(round(stage.until * training.epochs), first + 1), latest)
        spans.append(Span(first, last, stage.body))
        first, left = last, left - 1
    return [*spans, Span(first, training.epochs, 1.0)]


def span_at(training: Training, epoch: int) -> Span:
    """The stage in which epoch `epoch` (from 0) lies."""
    return next(span for span in stage_spans(training) if epoch < span.last)


def watched_from(training: Training) -> int:
    """The first epoch (from 0) whose inner-split AUC says anything of a plateau: all layers learn from there on."""
    return stage_spans(training)[-1].first


def averaged_from(training: Training) -> int:
    """The first epoch (from 0) whose weights enter the mean of the last ones; `epochs` where none is kept."""
    if not training.average_last:
        return training.epochs
    return training.epochs - max(1, round(training.average_last * training.epochs))
