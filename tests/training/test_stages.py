from __future__ import annotations

import pytest

from histoblend.config_training import Training
from histoblend.training.stages import Span, averaged_from, span_at, stage_spans, watched_from


def training(epochs: int, *stages: tuple[float, float], **more: float) -> Training:
    content = {"epochs": epochs, "stages": [{"until": until, "body": body} for until, body in stages]}
    return Training.model_validate(content | more)


def test_without_stages_everything_learns_all_the_time():
    assert stage_spans(training(7)) == [Span(0, 7, 1.0)]


def test_stages_end_at_the_nearest_epoch():
    spans = stage_spans(training(20, (0.1, 0.0), (0.33, 0.5)))
    assert spans == [Span(0, 2, 0.0), Span(2, 7, 0.5), Span(7, 20, 1.0)]


@pytest.mark.parametrize("epochs", range(3, 12))
@pytest.mark.parametrize("ends", [(0.01, 0.02), (0.98, 0.99), (0.5, 0.51), (0.2, 0.9)])
def test_every_stage_and_the_rest_have_an_epoch(epochs: int, ends: tuple[float, float]):
    spans = stage_spans(training(epochs, *((end, 0.1) for end in ends)))
    assert [span.first for span in spans] == [0, *(span.last for span in spans[:-1])]
    assert spans[-1].last == epochs and spans[-1].body == 1
    assert all(span.last > span.first for span in spans)
    for epoch in range(epochs):
        span = span_at(training(epochs, *((end, 0.1) for end in ends)), epoch)
        assert span.first <= epoch < span.last


def test_a_plateau_counts_from_the_last_stage_on():
    assert watched_from(training(7)) == 0
    assert watched_from(training(20, (0.1, 0.0), (0.33, 0.5))) == 7


def test_too_few_epochs_for_the_stages_are_refused():
    with pytest.raises(ValueError, match=r"3 epochs at least; epochs is 2: .*training\.stages to \[\]"):
        training(2, (0.1, 0.0), (0.3, 0.5))


def test_stages_out_of_order_are_refused():
    with pytest.raises(ValueError, match="later than the one before"):
        training(9, (0.3, 0.0), (0.3, 0.5))


@pytest.mark.parametrize(("share", "first"), [(0.0, 20), (0.25, 15), (0.01, 19), (1.0, 0)])
def test_the_mean_begins_at_the_nearest_epoch_and_has_one_at_least(share: float, first: int):
    assert averaged_from(training(20, average_last=share)) == first


@pytest.mark.parametrize(
    ("also", "message"),
    [
        ({"ema": 0.9}, "ema and average_last are two ways"),
        ({"normalisation_statistics": "moving"}, "needs normalisation_statistics: recomputed"),
        ({"stop_patience": 3}, "average_last and stop_patience"),
    ],
)
def test_what_does_not_go_with_a_mean_is_refused(also: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Training.model_validate({"average_last": 0.25, **also})
