"""What leaderboards have answered, beside the scores here: a table, a figure, and how well both agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from histoblend.artifacts.artifacts import Artifacts
from histoblend.leaderboard import agreement, ranked_together
from histoblend.ledger import last_by_name
from histoblend.ledger_file import SCORES
from histoblend.report_page.blocks import Block, Column, TableBlock, Words
from histoblend.report_page.figures import Answered, agreement_figure
from histoblend.report_page.wording import number_cell, score, words_cell

FEWEST = 2  # points that make a figure
OLDER = 5e-5  # of AUC: what a submitted file may differ by from what is here now


def answered_blocks(artifacts: Artifacts) -> list[Block]:
    """Scores that a leaderboard has answered, of what is here and of what kernels brought home."""
    if artifacts.ledger.empty:
        return [Words("No leaderboard score is known: submissions.csv in the output folder names none.")]
    table = ranked_together([one.metrics for one in artifacts.ranked], artifacts.pulled, artifacts.ledger)
    answered = table[table[SCORES].notna().any(axis=1)]
    points = [_point(row, artifacts) for row in answered.to_dict("records")]
    blocks: list[Block] = [_table(points)] if points else []
    drawn = [one for one in points if np.isfinite(one.auc)]
    blocks += [agreement_figure(drawn)] if len(drawn) >= FEWEST else []
    blocks += [Words(agreement(table, column)) for column in SCORES if np.isfinite(table[column]).any()]
    return blocks + _older(answered, points)


def _point(row: dict[Any, Any], artifacts: Artifacts) -> Answered:
    """AUC and interval of the file that was sent, where the ledger has them; else those of today."""
    name = str(row["name"])
    sent = last_by_name(artifacts.submissions).get(name)
    now = tuple(row[key] for key in ("auc_pooled", "auc_low", "auc_high"))
    then = (
        now if sent is None or np.isnan(sent.auc_pooled) else (sent.auc_pooled, sent.auc_low, sent.auc_high)
    )
    auc, low, high = (np.nan if pd.isna(edge) else float(edge) for edge in then)
    return Answered(name, auc, low, high, row["public_score"], row["private_score"], bool(row["unlike"]))


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


def _older(answered: pd.DataFrame, points: list[Answered]) -> list[Block]:
    """Which scores belong to an earlier state of what has that name now."""
    pairs = zip(answered["auc_pooled"], points, strict=True)
    changed = [one.name for now, one in pairs if abs(one.auc - now) > OLDER]
    if not changed:
        return []
    return [
        Words(
            f"Trained or blended anew since it was sent, so the score is of what it was then: {', '.join(changed)}."
        )
    ]
