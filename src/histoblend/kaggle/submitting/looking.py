"""What ledger and list say of a file before it is sent, and what that settles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from histoblend.errors import ArtifactRefusal, ServiceRefusal
from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.submitting.desk import Desk
from histoblend.kaggle.submitting.earlier import Earlier, earlier_of, settles
from histoblend.kaggle.submitting.entry import Entry
from histoblend.kaggle.submitting.matching import Pair
from histoblend.kaggle.submitting.slots import until


@dataclass(frozen=True)
class Seen:
    """What ledger and list say at one moment; `known`: the submission that makes another needless."""

    listed: Sequence[ListedSubmission]
    pairs: Sequence[Pair]
    known: Pair | None


def look(entry: Entry, again: str, desk: Desk) -> Seen:
    """Look at the list, complete the ledger by it, and settle what came of earlier attempts with the same bytes.

    Raises:
        ServiceRefusal: one may still arrive.
        ArtifactRefusal: Kaggle could not score them.
    """
    listed = desk.listed()
    desk.complete_all(listed)
    pairs = desk.paired(listed)
    earlier = earlier_of(pairs, entry.file_hash, again)
    known = earlier.waiting or earlier.scored
    if known is None:
        _settle_doubts(earlier, desk)
        _refuse_failed(earlier)
    return Seen(listed, pairs, known)


def _settle_doubts(earlier: Earlier, desk: Desk) -> None:
    """Attempts whose fate was not known and that are not listed: too young, refuse; else they never arrived.

    Raises:
        ServiceRefusal: one may still arrive.
        ArtifactRefusal: nothing says when it was made.
    """
    for line in earlier.doubtful:
        ends = settles(line)
        if ends is None:
            raise ArtifactRefusal(
                f"{desk.ledger} does not say when the same bytes were sent, of which Kaggle lists nothing (yet).",
                f"a moment such as 2026-11-21T12:00:00Z under when, not {line.when!r}",
                "mend the cell; or, if you know that it never arrived, write lost under status.",
            )
        now = datetime.now(UTC)
        if ends > now:
            raise ServiceRefusal(
                f"An attempt to send the same bytes was cut off ({line.when}), and Kaggle does not list it (yet).",
                "a row in the list, or certainty that none comes",
                f"type the same command again after {ends:%H:%M} UTC ({until(ends, now)}): it looks first.",
            )
        desk.give_up(line.description)
        desk.display.tell(f"An attempt of {line.when} never arrived: Kaggle does not list it.")


def _refuse_failed(earlier: Earlier) -> None:
    """Bytes that Kaggle could not score are not sent again by mistake: nobody knows whether that costs a slot.

    Raises:
        ArtifactRefusal: it could not.
    """
    if earlier.failed is None:
        return
    listed = earlier.failed.listed
    raise ArtifactRefusal(
        f"Kaggle could not score these very bytes: {(listed and listed.error) or 'no reason is listed'}.",
        "a file that it can score",
        "mend the file; or, if the fault was Kaggle's: --again 'why', in new words each time.",
    )
