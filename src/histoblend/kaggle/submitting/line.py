"""A new line of the ledger, in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.submitting.entry import Entry
from histoblend.ledger import score_word
from histoblend.ledger_file import GROUND

TIME = "%Y-%m-%dT%H:%M:%SZ"


def line_of(
    entry: Entry, description: str, began: datetime, forced: str = "", again: str = ""
) -> dict[str, str]:
    """The attempt to send `entry`, its outcome open, with the user's reasons."""
    scored = entry.scored
    return {
        "when": written(began),
        "name": entry.name,
        "file": str(entry.path),
        "file_hash": entry.file_hash,
        "description": description,
        "what": entry.what,
        "fingerprint": entry.fingerprint,
        "auc_pooled": _digits(scored.auc),
        "auc_low": _digits(scored.low),
        "auc_high": _digits(scored.high),
        "status": "sending",
        "forced": forced,
        "again": again,
        **{key: str((entry.metrics.about if entry.metrics else {}).get(key) or "") for key in GROUND},
    }


def line_of_listed(entry: Entry, one: ListedSubmission) -> dict[str, str]:
    """What Kaggle lists of the same bytes, where the ledger lacked it."""
    known = {"public_score": one.public_score, "private_score": one.private_score}
    return {
        **line_of(entry, one.description, one.date),
        "status": one.status,
        "ref": str(one.ref),
        **{column: score_word(score) for column, score in known.items()},
    }


def written(when: datetime) -> str:
    """A moment as the ledger has it."""
    return when.astimezone(UTC).strftime(TIME)


def _digits(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.6f}"
