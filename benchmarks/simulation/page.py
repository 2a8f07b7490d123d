"""The simulation's figures as the tables of docs/evaluation.md, between its markers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Found = Mapping[str, Any]


def filled(page: str, found: Found) -> str:
    """`page` with every ``<!-- table NAME -->`` ... ``<!-- end -->`` filled anew."""

    def table(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]](found)}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", table, page, flags=re.DOTALL)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _pivot(rows: Sequence[Row], down: str, cell: Callable[[Row], str]) -> str:
    """One line for each value of `down`, one column for each world and number of slides."""
    across = list(dict.fromkeys((row["world"], row["slides"]) for row in rows))
    cells = {(row[down], row["world"], row["slides"]): cell(row) for row in rows}
    names = list(dict.fromkeys(row[down] for row in rows))
    heading = ["", *(f"{world}, {slides} slides" for world, slides in across)]
    return _table(heading, [[str(name), *(cells[(name, *place)] for place in across)] for name in names])


def small(value: float) -> str:
    """``+.0012`` or ``-.0012``; what rounds to nothing is ``.0000``."""
    text = f"{value:+.4f}".replace("0.", ".", 1)
    return ".0000" if text[1:] == ".0000" else text


def _percent(row: Row) -> str:
    return f"{row['coverage']:.1%} (± {row['standard_error']:.1%})"


def _bias(row: Row) -> str:
    return f"{small(row['bias'])} (± {row['standard_error']:.4f})".replace("± 0.", "± .")


def _optimism(row: Row) -> str:
    return f"{small(row['found'])} / {small(row['true'])}"


def _curse(found: Found) -> str:
    rows = [
        [str(row["members"]), small(row["excess"]), f"{row['standard_error']:.4f}".removeprefix("0")]
        for row in found["curse"]
    ]
    return _table(("members, all equally good", "the best is overrated by", "standard error"), rows)


def _auto(found: Found) -> str:
    rows = [
        [
            f"{row['world']}, {row['slides']} slides, {row['members']} members",
            f"{row['equal_mean']:.4f}".removeprefix("0"),
            small(row["gain"]),
            f"{row['standard_error']:.5f}".removeprefix("0"),
            small(row["worst"]),
            f"{row['left']:.1%}",
            f"{row['best_rule'].replace('_', ' ')}, {small(row['best_gain'])}",
        ]
        for row in found["auto"]
    ]
    heading = (
        "world",
        "AUC of the equal mean",
        "auto gains",
        "standard error",
        "worst draw",
        "draws not equal mean",
    )
    return _table((*heading, "best rule, were it known"), rows)


TABLES: dict[str, Callable[[Found], str]] = {
    "coverage": lambda found: _pivot(found["coverage"], "method", _percent),
    "pooling": lambda found: _pivot(found["pooling"], "estimator", _bias),
    "curse": _curse,
    "audit": lambda found: _pivot(found["audit"], "rule", _optimism),
    "auto": _auto,
}
