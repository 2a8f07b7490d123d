"""A new line of the ledger, in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.submitting.entry import Entry

TIME = "%Y-%m-%dT%H:%M:%SZ"


def line_of(entry: Entry, description: str, began: datetime, reason: str = "") -> dict[str, str]:
    """The attempt to send `entry`, its outcome open."""
    scored = entry.scored
    return {
        "when": began.astimezone(UTC).strftime(TIME),
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
        "forced": reason,
    }


def line_of_listed(entry: Entry, one: ListedSubmission) -> dict[str, str]:
    """What Kaggle lists of the same bytes, where the ledger lacked it."""
    known = {"public_score": one.public_score, "private_score": one.private_score}
    return {
        **line_of(entry, one.description, one.date),
        "status": one.status,
        "ref": str(one.ref),
        **{column: "" if score is None else repr(score) for column, score in known.items()},
    }


def _digits(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.6f}"
