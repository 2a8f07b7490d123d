"""submissions.csv, the ledger of submissions: what a leaderboard has answered, by name of experiment or blend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from histoblend.errors import ArtifactRefusal
from histoblend.ledger_file import FORM, NUMBERS, SCORES, LedgerText, Line, parse_ledger, remedy


@dataclass(frozen=True)
class Submission:
    """A line of the ledger, understood; a line written by hand has a name and scores, and little else.

    Attributes:
        place: among the lines, from 0.
        when: UTC, as ISO 8601 says it; `status`: ``sending`` (outcome unknown), ``pending``, ``complete``, ``error``,
            ``lost`` (never arrived), or empty.
    """

    place: int
    name: str
    when: str = ""
    file_hash: str = ""
    description: str = ""
    status: str = ""
    ref: str = ""
    auc_pooled: float = math.nan
    auc_low: float = math.nan
    auc_high: float = math.nan
    public_score: float = math.nan
    private_score: float = math.nan
    what: str = ""
    forced: str = ""
    again: str = ""
    data_fingerprint: str = ""
    folds_fingerprint: str = ""

    @property
    def scored(self) -> bool:
        """Whether a leaderboard has answered."""
        return not (math.isnan(self.public_score) and math.isnan(self.private_score))


def read_ledger(path: Path) -> pd.DataFrame:
    """Scores by name: of several submissions of one name the last line that has a score, whole.

    One of the two scores may have no column, and a line may end where nothing more is known. No file: nothing is known.

    Returns:
        float64 public_score, private_score (NaN where none is known), indexed by name.

    Raises:
        ArtifactRefusal: the file cannot be read, lacks a column, or holds what is no score in [0, 1].
    """
    return scores_by_name(read_submissions(path))


def scores_by_name(lines: Sequence[Submission]) -> pd.DataFrame:
    """Of several submissions of one name the last that has a score: float64 public_score, private_score, by name."""
    table = pd.DataFrame(
        [(one.public_score, one.private_score) for one in lines],
        columns=SCORES,
        index=pd.Index([one.name for one in lines], name="name", dtype=object),
        dtype="float64",
    )
    known = table.notna().any(axis=1)
    ordered = pd.concat([table[~known], table[known]])  # a line without a score never hides one that has some
    return ordered[~ordered.index.duplicated(keep="last")]


def read_submissions(path: Path) -> list[Submission]:
    """Every line of the ledger; none where there is no file.

    Raises:
        ArtifactRefusal: as of `read_ledger`.
    """
    return understood(load_ledger(path), path)


def load_ledger(path: Path) -> LedgerText:
    """The ledger as text.

    Raises:
        ArtifactRefusal: it cannot be read.
    """
    if not path.exists():
        return LedgerText()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactRefusal(f"{path} cannot be read: {error}.", FORM, remedy(path)) from error
    if not data.strip():
        raise ArtifactRefusal(f"{path} lacks the column name; it is empty.", FORM, remedy(path))
    return parse_ledger(data, path)


def understood(ledger: LedgerText, path: object) -> list[Submission]:
    """The lines with their numbers as numbers; `path` is for messages.

    Raises:
        ArtifactRefusal: it lacks a column, or holds what is no score in [0, 1].
    """
    if "name" not in ledger.columns or not any(column in ledger.columns for column in SCORES):
        lacking = " or ".join(SCORES) if "name" in ledger.columns else "name"
        raise ArtifactRefusal(
            f"{path} lacks the column {lacking}; it has {', '.join(ledger.columns)}.", FORM, remedy(path)
        )
    return [_understood(place, line, ledger, path) for place, line in enumerate(ledger.lines)]


def _understood(place: int, line: Line, ledger: LedgerText, path: object) -> Submission:
    auc, low, high, public, private = (_number(line, column, ledger, path) for column in NUMBERS)
    return Submission(
        place=place,
        name=line["name"],
        when=line["when"],
        file_hash=line["file_hash"],
        description=line["description"],
        status=line["status"],
        ref=line["ref"],
        what=line["what"],
        forced=line["forced"],
        again=line["again"],
        data_fingerprint=line["data_fingerprint"],
        folds_fingerprint=line["folds_fingerprint"],
        auc_pooled=auc,
        auc_low=low,
        auc_high=high,
        public_score=public,
        private_score=private,
    )


def _number(line: Line, column: str, ledger: LedgerText, path: object) -> float:
    text = ledger.number(line, column)
    if not text:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise ArtifactRefusal(
            f"{path}, line {line.number} ({line['name']}): {column} is {line[column]!r}.",
            "a score from 0 to 1, or nothing where none is known",
            remedy(path),
        )
    return number


def score_word(known: float | None) -> str:
    """A score as it is entered; nothing where none is known, or what is listed is no AUC."""
    return repr(known) if known is not None and 0 <= known <= 1 else ""


def last_by_name(submissions: Iterable[Submission]) -> dict[str, Submission]:
    """Of each name the last line that has a score."""
    return {one.name: one for one in submissions if one.scored}
