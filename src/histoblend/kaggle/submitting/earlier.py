"""Whether the same bytes were sent before, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.submitting.description import began_by, is_of_file
from histoblend.kaggle.submitting.desk import moment
from histoblend.kaggle.submitting.matching import Pair
from histoblend.ledger import Submission

DOUBT = timedelta(minutes=10)
"""From the last word of an attempt until its row, if it made one, is certainly listed: its ledger line says at each
try, and while a file moves every minute, that it goes on; what follows then lasts four minutes at most."""


@dataclass(frozen=True)
class Earlier:
    """What is known of the same bytes.

    Attributes:
        waiting: on Kaggle and not scored yet, as its list says, else the ledger.
        scored: with its score, by the same two.
        failed: Kaggle could not score it.
        doubtful: attempts of which nobody knows whether they arrived; not listed.
    """

    waiting: Pair | None = None
    scored: Pair | None = None
    failed: Pair | None = None
    doubtful: tuple[Submission, ...] = ()


def earlier_of(pairs: Sequence[Pair], file_hash: str, again: str = "") -> Earlier:
    """What ledger and list say of a file with these bytes, whoever sent it, from wherever.

    With a reason to send them `again` only what has that very reason counts, as it is the same wish, typed once more;
    and in any case what Kaggle lists without a score, and what is in doubt.
    """
    same = [one for one in pairs if _is_of(one, file_hash)]
    by_status: dict[str, Pair] = {}
    for pair in same:
        listed_open = pair.listed is not None and pair.listed.status == "pending"
        if again and not listed_open and (pair.line is None or pair.line.again != again):
            continue
        by_status.setdefault(_status(pair), pair)
    open_ones = [one.line for one in same if one.listed is None and one.line is not None]
    return Earlier(
        by_status.get("pending"),
        by_status.get("complete"),
        by_status.get("error"),
        tuple(line for line in open_ones if line.status == "sending" and not line.ref),
    )


def _is_of(pair: Pair, file_hash: str) -> bool:
    line, listed = pair.line, pair.listed
    return (line is not None and line.file_hash == file_hash) or (
        listed is not None and is_of_file(listed.description, file_hash)
    )


def _status(pair: Pair) -> str:
    """As it is listed; of a line alone as the ledger says: it has a ref or a status only of what was listed once."""
    if pair.listed is not None:
        return pair.listed.status
    assert pair.line is not None
    if pair.line.scored:
        return "complete"
    waits = pair.line.status == "sending" and pair.line.ref
    return "pending" if waits else pair.line.status


def settles(line: Submission) -> datetime | None:
    """Until when an attempt is in doubt; None where neither `when` nor the description says when it was made.

    A spreadsheet program may have rewritten `when`, so the later of the two counts.
    """
    known = [one for one in (moment(line.when), began_by(line.description)) if one is not None]
    return max(known) + DOUBT if known else None


def scores_of(pair: Pair) -> tuple[float | None, float | None]:
    """Public and private score, as far as they are known."""
    known: ListedSubmission | Submission | None = pair.listed or pair.line
    if known is None:
        return None, None
    public, private = (
        None if one is None or one != one else one for one in (known.public_score, known.private_score)
    )
    return public, private
