"""The ledger of submissions: what a leaderboard has answered, by name of experiment or blend."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from histoblend.errors import ArtifactRefusal

SCORES = ["public_score", "private_score"]
COLUMNS = ["name", *SCORES]


def read_ledger(path: Path) -> pd.DataFrame:
    """Scores by name: of several submissions of one name the last score that stands there.

    Columns besides name, public_score and private_score are nobody's business here. No file: nothing is known.

    Returns:
        float64 public_score, private_score (NaN where none is known), indexed by name.

    Raises:
        ArtifactRefusal: the file cannot be read, lacks a column, or holds what is no score in [0, 1].
    """
    if not path.exists():
        return pd.DataFrame(columns=SCORES, index=pd.Index([], name="name"), dtype=float)
    remedy = f"mend {path}, or move it away: then no leaderboard score is known."
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ArtifactRefusal(
            f"{path} cannot be read: {error}.", f"a CSV with {','.join(COLUMNS)}", remedy
        ) from error
    if lacking := [column for column in COLUMNS if column not in table]:
        raise ArtifactRefusal(
            f"{path} lacks the columns {', '.join(lacking)}; it has {', '.join(map(str, table.columns))}.",
            f"{','.join(COLUMNS)}, others as you like",
            remedy,
        )
    for column in SCORES:
        table[column] = _scores(table, column, path, remedy)
    return table[COLUMNS].groupby("name", sort=False).last()  # the last that is no NaN


def _scores(table: pd.DataFrame, column: str, path: Path, remedy: str) -> pd.Series:
    text = table[column].str.strip()
    scores = pd.to_numeric(text, errors="coerce").astype("float64")
    wrong = table.index[(text != "") & ~scores.between(0, 1)]
    if len(wrong):
        row = wrong[0]
        raise ArtifactRefusal(
            f"{path}, line {row + 2} ({table['name'][row]}): {column} is {text[row]!r}.",
            "a score from 0 to 1, or nothing where none is known",
            remedy,
        )
    return scores
