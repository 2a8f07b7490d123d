"""What leaderboards have answered, beside the scores here: a table, a figure, and how well both agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from histoblend.artifacts.artifacts import Artifacts
from histoblend.leaderboard import AREAS, agreement, as_sent, changed_since, ranked_together
from histoblend.ledger_file import SCORES
from histoblend.report_page.blocks import Block, Column, TableBlock, Words
from histoblend.report_page.figures import Answered, agreement_figure
from histoblend.report_page.wording import number_cell, score, words_cell

FEWEST = 2  # points that make a figure


def answered_blocks(artifacts: Artifacts) -> list[Block]:
    """Scores that a leaderboard has answered, of what is here and of what kernels brought home."""
    if artifacts.ledger.empty:
        return [Words("No leaderboard score is known: submissions.csv in the output folder names none.")]
    waiting = _without_score(artifacts)
    if not artifacts.ledger.notna().any(axis=None):
        return [Words(f"No leaderboard has answered yet. {waiting}")]
    table = ranked_together([one.metrics for one in artifacts.ranked], artifacts.pulled, artifacts.ledger)
    sent = as_sent(table, artifacts.submissions)
    points = [_point(row) for row in sent[sent[SCORES].notna().any(axis=1)].to_dict("records")]
    blocks: list[Block] = [_table(points)] if points else []
    drawn = [one for one in points if np.isfinite(one.auc)]
    blocks += [agreement_figure(drawn)] if len(drawn) >= FEWEST else []
    blocks += [Words(agreement(sent, column)) for column in SCORES if np.isfinite(sent[column]).any()]
    unknown = [name for name in artifacts.ledger.dropna(how="all").index if name not in set(table["name"])]
    beside = [f"Scored, but nothing of it in this folder: {', '.join(unknown)}."] if unknown else []
    return blocks + [Words(one) for one in [*changed_since(table, sent), *beside, waiting] if one]


def _without_score(artifacts: Artifacts) -> str:
    """What was submitted and has no score (yet), in words."""
    names = list(artifacts.ledger.index[artifacts.ledger.isna().all(axis=1)])
    return f"In submissions.csv without a score: {', '.join(names)}." if names else ""


def _point(row: dict[Any, Any]) -> Answered:
    """AUC and interval of the file that was sent, where the ledger has them; else those of today."""
    auc, low, high = (np.nan if pd.isna(row[key]) else float(row[key]) for key in AREAS)
    return Answered(
        str(row["name"]), auc, low, high, row["public_score"], row["private_score"], bool(row["unlike"])
    )


def _table(points: list[Answered]) -> TableBlock:
    rows = tuple(
        (
            words_cell(one.name),
            *(number_cell(value, score(value)) for value in (one.auc, one.public, one.private)),
        )
        for one in points
    )
    columns = (
        Column("name"),
        Column("AUC here", True, "Pooled over out-of-fold predictions, of the file that was sent."),
        Column("public", True, "Score on the public leaderboard, from submissions.csv."),
        Column("private", True, "Score on the private leaderboard, from submissions.csv."),
    )
    return TableBlock("What leaderboards have answered", columns, rows)
