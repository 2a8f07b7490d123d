"""submissions.csv, the ledger of submissions: what a leaderboard has answered, by name of experiment or blend."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from histoblend.errors import ArtifactRefusal

SCORES = ["public_score", "private_score"]
EXAMPLE = ("name,public_score", "mini_logit_mean,0.93")
FORM = f"the columns name and public_score, private_score or both, others as you like, such as\n{chr(10).join(EXAMPLE)}"


def read_ledger(path: Path) -> pd.DataFrame:
    """Scores by name: of several submissions of one name the last line that has a score, whole.

    One of the two scores may have no column, and a line may end where nothing more is known. Columns besides name,
    public_score and private_score are nobody's business here. No file: nothing is known.

    Returns:
        float64 public_score, private_score (NaN where none is known), indexed by name.

    Raises:
        ArtifactRefusal: the file cannot be read, lacks a column, or holds what is no score in [0, 1].
    """
    if not path.exists():
        return pd.DataFrame(columns=SCORES, index=pd.Index([], name="name"), dtype=float)
    remedy = f"mend {path}, or move it away: then no leaderboard score is known."
    table = _table(path, remedy)
    there = [column for column in SCORES if column in table]
    if "name" not in table or not there:
        lacking = "name" if "name" not in table else " or ".join(SCORES)
        raise ArtifactRefusal(
            f"{path} lacks the column {lacking}; it has {', '.join(table.columns[:-1])}.",
            FORM,
            remedy,
        )
    for column in SCORES:
        table[column] = _scores(table, column, path, remedy) if column in there else np.nan
    known = table[SCORES].notna().any(axis=1)
    ordered = pd.concat([table[~known], table[known]])  # a line without a score never hides one that has some
    return ordered.drop_duplicates("name", keep="last").set_index("name")[SCORES]


def _table(path: Path, remedy: str) -> pd.DataFrame:
    """The file as text; `line` is where a row stands in it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArtifactRefusal(f"{path} cannot be read: {error}.", FORM, remedy) from error
    header = lines[0][1] if lines else []
    for number, row in lines[1:]:
        if any(row[len(header) :]):
            raise ArtifactRefusal(
                f"{path}, line {number} has {len(row)} cells, the header {len(header)}: {','.join(row)}.",
                FORM,
                remedy,
            )
    cells = [(row + [""] * len(header))[: len(header)] for _, row in lines[1:]]
    return pd.DataFrame(cells, columns=header, dtype=str).assign(line=[number for number, _ in lines[1:]])


def _scores(table: pd.DataFrame, column: str, path: Path, remedy: str) -> pd.Series:
    text = table[column]
    scores = pd.to_numeric(text, errors="coerce").astype("float64")
    wrong = table.index[(text != "") & ~scores.between(0, 1)]
    if len(wrong):
        row = wrong[0]
        raise ArtifactRefusal(
            f"{path}, line {table['line'][row]} ({table['name'][row]}): {column} is {text[row]!r}.",
            "a score from 0 to 1, or nothing where none is known",
            remedy,
        )
    return scores
