"""Submissions as a table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table

from histoblend.kaggle.submitting.rows import Row
from histoblend.reporting.fit_width import widest_that_fits

ELSEWHERE = "*"
DRAFTS: tuple[
    tuple[tuple[str, ...], bool, int | None], ...
] = (  # left out, the year, letters of a name in a line
    ((), True, None),
    ((), False, None),
    (("95 %",), True, None),
    (("95 %",), False, None),
    (("95 %",), False, 24),
    (("95 %",), False, 18),
    (("95 %", "gap", "gap "), False, 24),
    (("95 %", "gap", "gap "), False, 12),
)
LONGEST = 48  # letters of what was described elsewhere
SHORT = {"complete": ""}  # states that stand in place of a score; the others by their own word


def printed_submissions(rows: Sequence[Row], competition: str, width: int) -> Table:
    """One row a submission: when, what, AUC here with its interval, both scores with their gaps, and what is amiss.

    Where it is narrow, intervals and the year are left out, names take several lines; gaps go before a score is cut.
    """
    drafts = [_drawn(rows, competition, *draft) for draft in DRAFTS]
    return widest_that_fits(drafts, width)


def _drawn(
    rows: Sequence[Row], competition: str, left_out: tuple[str, ...], year: bool, letters: int | None
) -> Table:
    columns = {
        "when, UTC": [_minute(row.when, year) for row in rows],
        "name": [_name(row) for row in rows],
        "CV": [_score(row.scored.auc) for row in rows],
        "95 %": [_interval(row) for row in rows],
        "public": [_score(row.public_score) or SHORT.get(row.status, row.status) for row in rows],
        "gap": [_gap(row, row.public_score) for row in rows],
        "private": [_score(row.private_score) for row in rows],
        "gap ": [_gap(row, row.private_score) for row in rows],
    }
    shown = {key: cells for key, cells in columns.items() if any(cells) and key not in left_out}
    table = Table(
        title=f"Submissions to {competition}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1 if letters is None else 0, 0, 0),
        caption=_caption(rows, shown),
        caption_justify="left",
    )
    for heading in shown:
        left = heading in ("when, UTC", "name")
        table.add_column(
            heading,
            justify="left" if left else "right",
            no_wrap=heading != "name",
            overflow="fold",
            max_width=letters if heading == "name" else None,
        )
    for cells in zip(*shown.values(), strict=True):
        table.add_row(*cells)
    return table


def _name(row: Row) -> str:
    shown = row.name if len(row.name) <= LONGEST else f"{row.name[: LONGEST - 1]}…"
    return f"{shown} {ELSEWHERE}" if row.elsewhere else shown


def _minute(when: str, year: bool) -> str:
    shown = when[:16].replace("T", " ")
    return shown if year else shown[5:]


def _score(score: float) -> str:
    return "" if math.isnan(score) else f"{score:.4f}"


def _interval(row: Row) -> str:
    if math.isnan(row.scored.low):
        return ""
    low, high = (f"{edge:.3f}".removeprefix("0") for edge in (row.scored.low, row.scored.high))
    return f"[{low}, {high}]"


def _gap(row: Row, score: float) -> str:
    gap = score - row.scored.auc
    return "" if math.isnan(gap) else f"{gap:+.4f}"


def _caption(rows: Sequence[Row], shown: dict[str, list[str]]) -> str:
    lines = ["CV: cross-validated AUC of the file that was sent"] if "CV" in shown else []
    lines += ["gap: leaderboard minus CV"] if "gap" in shown or "gap " in shown else []
    lines += (
        [f"{ELSEWHERE} listed by Kaggle, not in the ledger: made elsewhere"] if _any_elsewhere(rows) else []
    )
    return "\n".join(lines)


def _any_elsewhere(rows: Sequence[Row]) -> bool:
    return any(row.elsewhere for row in rows)
