"""Whether the same bytes were sent before, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.submitting.description import is_of_file
from histoblend.kaggle.submitting.desk import moment
from histoblend.kaggle.submitting.matching import Pair
from histoblend.ledger import Submission

DOUBT = timedelta(minutes=10)
"""From an attempt that was cut off until its row, if it made one, is certainly listed: no call lasts half as long."""


@dataclass(frozen=True)
class Earlier:
    """What is known of the same bytes.

    Attributes:
        waiting: listed and not scored yet.
        scored: with its score; as Kaggle lists it, else as the ledger says.
        failed: listed, and Kaggle could not score it.
        doubtful: attempts of which nobody knows whether they arrived; not listed.
    """

    waiting: Pair | None = None
    scored: Pair | None = None
    failed: Pair | None = None
    doubtful: tuple[Submission, ...] = ()


def earlier_of(pairs: Sequence[Pair], file_hash: str) -> Earlier:
    """What ledger and list say of a file with these bytes, whoever sent it, from wherever."""
    same = [one for one in pairs if _is_of(one, file_hash)]
    by_status: dict[str, Pair] = {}
    for pair in same:
        by_status.setdefault(_status(pair), pair)
    open_ones = [one.line for one in same if one.listed is None and one.line is not None]
    return Earlier(
        by_status.get("pending"),
        by_status.get("complete"),
        by_status.get("error"),
        tuple(line for line in open_ones if line.status in ("sending", "pending")),
    )


def _is_of(pair: Pair, file_hash: str) -> bool:
    line, listed = pair.line, pair.listed
    return (line is not None and line.file_hash == file_hash) or (
        listed is not None and is_of_file(listed.description, file_hash)
    )


def _status(pair: Pair) -> str:
    """As it is listed; of a line alone what its score says, as nothing else can be trusted."""
    if pair.listed is not None:
        return pair.listed.status
    return "complete" if pair.line is not None and pair.line.scored else "unlisted"


def settles(line: Submission, now: datetime) -> datetime | None:
    """Until when an attempt is in doubt; None where it is not any more."""
    began = moment(line.when)
    ends = began + DOUBT if began is not None else None
    return ends if ends is not None and ends > now else None


def scores_of(pair: Pair) -> tuple[float | None, float | None]:
    """Public and private score, as far as they are known."""
    known: ListedSubmission | Submission | None = pair.listed or pair.line
    if known is None:
        return None, None
    public, private = (
        None if one is None or one != one else one for one in (known.public_score, known.private_score)
    )
    return public, private
