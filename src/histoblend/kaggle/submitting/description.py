"""The description of a submission: for people, and by its mark for finding the same submission again."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from histoblend.errors import ConfigRefusal

LONGEST = 200
"""Letters. Kaggle does not say how many it keeps: the mark stands first, where no cut reaches it."""
LONGEST_MESSAGE = 80
HASH_LETTERS = 10
MARK = re.compile(r"\bhb-([0-9a-f]{10})-(\d{8}T\d{6}Z)\b")
SCORED = re.compile(r"\bCV (0\.\d{4}|1\.0000)(?: \[([01]\.\d{3}) ([01]\.\d{3})\])?")
TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class CrossValidation:
    """Pooled out-of-fold AUC with its interval; NaN where it is not known."""

    auc: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.auc):
            return ""
        interval = "" if math.isnan(self.low) else f" [{self.low:.3f} {self.high:.3f}]"
        return f"CV {self.auc:.4f}{interval}"


def attempt_mark(file_hash: str, began: datetime) -> str:
    """What no other attempt has: the first digits of the file's hash and the second in which the attempt began."""
    return f"hb-{file_hash[:HASH_LETTERS]}-{began.astimezone(UTC).strftime(TIME)}"


def unused_mark(file_hash: str, began: datetime, taken: Collection[str]) -> str:
    """The mark of an attempt; of a later second where another attempt with the same bytes has that one."""
    while (mark := attempt_mark(file_hash, began)) in taken:
        began += timedelta(seconds=1)
    return mark


def described(name: str, scored: CrossValidation, message: str, mark: str) -> str:
    """The mark, name, cross-validation and the user's word, in at most `LONGEST` letters: the name is cut first."""
    rest = [part for part in (str(scored), message) if part]
    room = LONGEST - len(mark) - 3 - sum(len(part) + 3 for part in rest)
    shown = name if len(name) <= room else f"{name[: room - 1]}…"
    return " | ".join([mark, shown, *rest])


def checked_message(message: str) -> str:
    """The user's word on one line.

    Raises:
        ConfigRefusal: it is too long.
    """
    plain = " ".join(message.split())
    if len(plain) > LONGEST_MESSAGE:
        raise ConfigRefusal(
            f"--message has {len(plain)} letters.",
            f"at most {LONGEST_MESSAGE}: name, AUC and fingerprint stand in the description too",
            "shorten it.",
        )
    return plain


def mark_of(description: str) -> str:
    """The mark in a description; empty where it was not made here."""
    found = MARK.search(description)
    return found.group() if found else ""


def began_by(description: str) -> datetime | None:
    """When the attempt began, as the mark says it; None where there is none."""
    found = MARK.search(description)
    return datetime.strptime(found[2], TIME).replace(tzinfo=UTC) if found else None


def is_of_file(description: str, file_hash: str) -> bool:
    """Whether a description says that these very bytes were submitted."""
    found = MARK.search(description)
    return found is not None and found[1] == file_hash[:HASH_LETTERS]


def told_by(description: str) -> tuple[str, CrossValidation]:
    """Name and cross-validation as a description made here tells them; empty where it was made elsewhere."""
    if not mark_of(description):
        return "", CrossValidation()
    found = SCORED.search(description)
    name = (*description.split(" | "), "")[1]
    if found is None:
        return name, CrossValidation()
    return name, CrossValidation(*(math.nan if part is None else float(part) for part in found.groups()))
