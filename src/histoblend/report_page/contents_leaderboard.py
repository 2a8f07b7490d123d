"""What new slides, and a leaderboard where there is one, may say of the chosen predictions: an interval."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.evaluation.uncertainty import Interval, prediction_interval
from histoblend.report_page.blocks import Block, Column, Section, TableBlock, Words
from histoblend.report_page.contents_answered import answered_blocks
from histoblend.report_page.fold_shares import lowered
from histoblend.report_page.wording import between, number_cell, score, share

FACTORS = (0.5, 1.0, 2.0)  # of the number of new slides that is guessed


@dataclass(frozen=True)
class Expected:
    """Intervals for the score of `candidate` on that many new slides, by number; `guess` is the likeliest number.

    `scored_elsewhere`: whether there is a leaderboard; `lowered`: by how much the pooled AUC reads low, 0 where it does
    not.
    """

    candidate: Candidate
    patches: int
    guess: int
    intervals: dict[int, Interval]
    clusters_are: str
    scored_elsewhere: bool
    lowered: float

    @property
    def sentence(self) -> str:
        """The likeliest interval in words, with what it takes for granted."""
        interval = self.intervals[self.guess]
        where = "the leaderboard" if self.scored_elsewhere else f"new {self.clusters_are}"
        return (
            f"On {where}, expect {self.candidate.name} to score "
            f"{between(interval.low, interval.high)} ({share(interval.level, 0)}{self._centre}), if its "
            f"{self.patches:,} test patches come from about {self.guess:,} new {self.clusters_are} of the same "
            f"kind as those trained on.{self._guessed}"
        )

    @property
    def _guessed(self) -> str:
        if self.clusters_are == "patches":
            return ""
        return " How many there are is not known: this supposes as many patches a slide as in training."

    @property
    def _centre(self) -> str:
        if not self.lowered:
            return ""
        return (
            f"; centred on the pooled AUC, which reads about {self.lowered:.3f} low here because folds differ in "
            "their shares of the classes, so look to the upper half"
        )


def expected_scores(artifacts: Artifacts) -> Expected | None:
    """Intervals for the leading complete predictions; None without any, or without a test part."""
    lead, patches = artifacts.lead, artifacts.test_patches
    if lead is None or not lead.metrics.complete or not patches:
        return None
    ground = artifacts.ground(lead)
    clusters = len(lead.table) if ground.slides is None else pd.Series(ground.slides).nunique()
    guess = max(2, round(patches * clusters / len(lead.table)))
    numbers = sorted({max(2, round(guess * factor)) for factor in FACTORS})
    intervals = {number: prediction_interval(ground, lead.logits, number) for number in numbers}
    return Expected(
        lead,
        patches,
        guess,
        intervals,
        ground.clusters_are,
        artifacts.scored_elsewhere,
        lowered(lead, artifacts),
    )


def leaderboard_section(artifacts: Artifacts, expected: Expected | None) -> Section:
    """What to expect on new slides and on a leaderboard, and what one has answered."""
    blocks: list[Block] = []
    if expected is None:
        blocks.append(
            Words("There is nothing to expect: no test patches to be scored, or no complete predictions yet.")
        )
    else:
        blocks += [*_held_out(expected), Words(expected.sentence), *_warned(expected), _table(expected)]
        blocks.append(Words(_limits(expected)))
    if not artifacts.scored_elsewhere:
        return Section("leaderboard", "What to expect on new slides", tuple(blocks))
    return Section("leaderboard", "What to expect on a leaderboard", (*blocks, *answered_blocks(artifacts)))


def _warned(expected: Expected) -> list[Block]:
    """What the verdict has not warned of already."""
    warning = expected.intervals[expected.guess].warning
    return [Words(warning, "warning")] if warning and warning != expected.candidate.interval.warning else []


def _table(expected: Expected) -> TableBlock:
    rows = tuple(
        (
            number_cell(number, f"{number:,}"),
            number_cell(one.low, score(max(one.low, 0.0))),
            number_cell(one.high, score(min(one.high, 1.0))),
        )
        for number, one in expected.intervals.items()
    )
    columns = (
        Column(
            f"new {expected.clusters_are}", True, "How many slides the scored patches come from: nobody says."
        ),
        Column("lowest", True, "Lower end of the 95 % prediction interval."),
        Column("highest", True, "Upper end of the 95 % prediction interval."),
    )
    marked = tuple(place for place, number in enumerate(expected.intervals) if number == expected.guess)
    return TableBlock(f"Score of {expected.candidate.name} on new slides", columns, rows, marked)


def _limits(expected: Expected) -> str:
    public = (
        " A public leaderboard scores a part of the test patches: if it takes whole slides, the upper row is "
        "for it; if it draws patches from all slides, the row set apart."
        if expected.scored_elsewhere
        else ""
    )
    return (
        "This is wider than the interval of the cross-validated AUC: it holds the luck of the slides trained "
        f"on and that of the slides to come.{public} Not in it: other scanners or stains than those "
        "trained on, which lower scores; and test predictions that are the mean of all folds' networks, "
        "which raises them a little."
    )


def _held_out(expected: Expected) -> list[Block]:
    """What the patches say whose labels are known here and were never trained on."""
    found, interval = expected.candidate.metrics.local_leaderboard, expected.intervals[expected.guess]
    if found is None:
        return []
    where = "inside" if interval.low <= found <= interval.high else "outside"
    return [
        Words(
            f"On test patches whose labels are known here and were not trained on, {expected.candidate.name} scores "
            f"{score(found)}: {where} the range below."
        )
    ]
