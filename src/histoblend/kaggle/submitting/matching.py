"""Lines of the ledger beside what Kaggle lists: which are the same submission; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from histoblend.kaggle.competitions import ListedSubmission
from histoblend.kaggle.submitting.description import mark_of
from histoblend.ledger import Submission, score_word

NEAR = 5e-6  # of scores: Kaggle lists five digits


@dataclass(frozen=True)
class Pair:
    """One submission: its line in the ledger, what Kaggle lists of it, or both."""

    line: Submission | None
    listed: ListedSubmission | None


def matched(lines: Sequence[Submission], listed: Sequence[ListedSubmission]) -> list[Pair]:
    """Every line and every listed submission once: by ref, else by mark, by description, or by name and score.

    The last is for lines written by hand, and holds only where it leaves no choice on either side.
    """
    partner: dict[int, ListedSubmission] = {}
    for same in (_same_ref, _same_mark, _same_description):
        _pair(partner, lines, listed, same)
    _pair(partner, [one for one in lines if not one.ref and not one.description], listed, _same_by_hand)
    taken = {id(one) for one in partner.values()}
    pairs = [Pair(line, partner.get(line.place)) for line in lines]
    return pairs + [Pair(None, one) for one in listed if id(one) not in taken]


def _pair(
    partner: dict[int, ListedSubmission],
    lines: Sequence[Submission],
    listed: Sequence[ListedSubmission],
    same: Callable[[Submission, ListedSubmission], bool],
) -> None:
    """Add to `partner` (by place of the line) those for which `same` leaves one line and one submission."""
    taken = {id(one) for one in partner.values()}
    open_lines = [line for line in lines if line.place not in partner]
    open_listed = [one for one in listed if id(one) not in taken]
    for line in open_lines:
        found = [one for one in open_listed if same(line, one)]
        if len(found) == 1 and sum(same(other, found[0]) for other in open_lines) == 1:
            partner[line.place] = found[0]


def _same_ref(line: Submission, one: ListedSubmission) -> bool:
    return bool(line.ref) and line.ref == str(one.ref)


def _same_mark(line: Submission, one: ListedSubmission) -> bool:
    mark = mark_of(line.description)
    return not line.ref and bool(mark) and mark == mark_of(one.description)


def _same_description(line: Submission, one: ListedSubmission) -> bool:
    words = line.description.split()
    return not line.ref and bool(words) and words == one.description.split()


def _same_by_hand(line: Submission, one: ListedSubmission) -> bool:
    """The name stands in the description or is the file's, and no score contradicts what was written."""
    if mark_of(one.description) or not line.name:
        return False
    named = line.name in (one.file_name, one.file_name.rpartition(".")[0])
    named = named or re.search(rf"(?<![\w.-]){re.escape(line.name)}(?![\w-])", one.description) is not None
    scores = ((line.public_score, one.public_score), (line.private_score, one.private_score))
    return named and all(_agree(written, known) for written, known in scores)


def _agree(written: float, known: float | None) -> bool:
    """Whether what was written is what is known, to the digits that were written (three at least)."""
    if math.isnan(written) or known is None:
        return True
    return any(abs(written - round(known, digits)) < NEAR for digits in range(3, 8))


def marks_of(pairs: Sequence[Pair]) -> set[str]:
    """The marks of all attempts that ledger and list know of."""
    both = [one.description for pair in pairs for one in (pair.line, pair.listed) if one is not None]
    return {mark for mark in map(mark_of, both) if mark}


def completed(line: Submission, one: ListedSubmission) -> dict[str, str]:
    """Cells of a line that what Kaggle lists makes known or changes; scores that are not listed stay."""
    cells = {"ref": str(one.ref)} if line.ref != str(one.ref) else {}
    if line.status != one.status:
        cells["status"] = one.status
    if not line.when:
        cells["when"] = one.date.strftime("%Y-%m-%dT%H:%M:%SZ")
    for column in ("public_score", "private_score"):
        known, written = getattr(one, column), getattr(line, column)
        if (word := score_word(known)) and not (known is not None and abs(written - known) < NEAR):
            cells[column] = word
    return cells
