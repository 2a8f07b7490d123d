"""What is shown of each submission, and how cross-validation and leaderboard agree over all of them; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from histoblend.kaggle.submitting.description import CrossValidation, told_by
from histoblend.kaggle.submitting.matching import Pair
from histoblend.leaderboard import agreement
from histoblend.ledger import score_word
from histoblend.ledger_file import GROUND, SCORES

STATES = {
    "sending": "its fate is not known: the same `./run.sh submit` looks for it",
    "lost": "it never arrived",
}


@dataclass(frozen=True)
class Row:
    """One submission; NaN for scores that are not known.

    Attributes:
        when: UTC, as ISO 8601 says it; empty where it is not known.
        elsewhere: Kaggle lists it and the ledger does not have it.
        trouble: why there is no score, in words.
        ground: fingerprints of data and folds, empty where they are not known.
    """

    when: str
    name: str
    scored: CrossValidation
    public_score: float
    private_score: float
    status: str
    elsewhere: bool = False
    trouble: str = ""
    ground: tuple[str, str] = ("", "")


def rows_of(pairs: Sequence[Pair]) -> list[Row]:
    """A row a submission, the newest first; those without a time at the end, in their order."""
    rows = [_of_line(pair) if pair.line is not None else _made_elsewhere(pair) for pair in pairs]
    return sorted(rows, key=lambda row: row.when, reverse=True)


def _of_line(pair: Pair) -> Row:
    line = pair.line
    assert line is not None
    error = pair.listed.error if pair.listed is not None and pair.listed.status == "error" else ""
    scored = CrossValidation(line.auc_pooled, line.auc_low, line.auc_high)
    return Row(
        line.when,
        line.name,
        scored,
        line.public_score,
        line.private_score,
        line.status or ("complete" if line.scored else ""),
        trouble=f"Kaggle could not score it: {error}" if error else _trouble(pair),
        ground=(line.data_fingerprint, line.folds_fingerprint),
    )


def _trouble(pair: Pair) -> str:
    """Why a line has no score."""
    if pair.listed is not None:
        scores = (pair.listed.public_score, pair.listed.private_score)
        if strange := [f"{one}" for one in scores if one is not None and not score_word(one)]:
            return f"Kaggle lists the score {' and '.join(strange)}, which is no AUC, so it is not entered"
    return STATES.get(pair.line.status, "") if pair.line is not None else ""


def _made_elsewhere(pair: Pair) -> Row:
    """What a description made by histoblend elsewhere tells is taken from it."""
    one = pair.listed
    assert one is not None
    name, scored = told_by(one.description)
    public, private = (
        math.nan if score is None else score for score in (one.public_score, one.private_score)
    )
    shown = name or one.description.strip() or one.file_name
    trouble = f"Kaggle could not score it: {one.error}" if one.error else ""
    return Row(
        f"{one.date:%Y-%m-%dT%H:%M:%SZ}",
        " ".join(shown.split()),
        scored,
        public,
        private,
        one.status,
        True,
        trouble,
    )


def agreements(rows: Sequence[Row]) -> list[str]:
    """How CV and each leaderboard agree, a sentence each; the same sent twice counts once, as it was scored last."""
    table = pd.DataFrame(
        [
            (row.name, "complete", row.scored.auc, row.public_score, row.private_score, *row.ground)
            for row in rows
        ],
        columns=["name", "status", "auc_pooled", *SCORES, *GROUND],
    )
    known = table[table["auc_pooled"].notna()]
    answered = [(column, known[known[column].notna()]) for column in SCORES]
    return [
        agreement(some.drop_duplicates(["name", "auc_pooled"]), column)
        for column, some in answered
        if len(some)
    ]
