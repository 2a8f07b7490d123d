"""Do the intervals, the nested audit and `blend: auto` hold what they promise? Members on imagined slides tell.

    python benchmarks/evaluation_simulation.py                        400 draws; prints tables, writes nothing
    python benchmarks/evaluation_simulation.py --to docs/evaluation.json     and the tables of docs/evaluation.md
    python benchmarks/evaluation_simulation.py --draws 40             a first look

The estimators are those of the pipeline, called as it calls them; the truth is exact (simulation/slides.py). The same
seed gives the same figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simulation.audits import audit_rows, curse_rows
from simulation.intervals import coverage_rows
from simulation.page import filled
from simulation.slides import alike, differing, mild, unbalanced

Row = dict[str, Any]
Found = dict[str, list[Row]]
After = Callable[[Found], None]
PATCHES = {20: 40, 40: 25, 160: 10}
"""Patches of a slide, on average, by number of slides."""
INTERVALS = [alike("alike", slides, patches, 2) for slides, patches in PATCHES.items()]
BLIND = [unbalanced(world) for world in INTERVALS[1:]]
AUDITS = [
    *(alike("alike", slides, patches, 4) for slides, patches in PATCHES.items()),
    mild("a little different", 40, 25),
    *(differing("different, one useless", slides, PATCHES[slides]) for slides in (40, 160)),
    alike("many alike", 40, 25, 8),
]
CURSES = [alike(f"{members} alike", 40, 25, members) for members in (2, 5, 30)]
COLUMNS = {
    "coverage": ("world", "slides", "method", "coverage", "standard_error", "too_high", "too_low", "width"),
    "pooling": ("world", "slides", "estimator", "bias", "standard_error", "root_mean_square"),
    "curse": ("world", "slides", "members", "excess", "standard_error", "of_all", "of_all_error"),
    "audit": ("world", "slides", "rule", "found", "found_error", "true", "true_error", "remaining", "worth"),
    "auto": (
        "world",
        "slides",
        "members",
        "equal_mean",
        "gain",
        "standard_error",
        "worst",
        "left",
        "best_rule",
        "best_gain",
    ),
}


def simulate(draws: int, seed: int, only: Sequence[str], after: After = lambda found: None) -> Found:
    """The figures that are wanted, by table of `COLUMNS`; `after` is told those there are after each world."""
    found: Found = {}
    started = time.monotonic()

    def add(what: str, **tables: list[Row]) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {what}", file=sys.stderr, flush=True)
        for table, rows in tables.items():
            found[table] = found.get(table, []) + rows
        after(found)

    for world in [*INTERVALS, *BLIND] if "intervals" in only else []:
        covered, biases = coverage_rows(world, draws, seed)
        add(f"intervals, {world.name}, {world.slides} slides", coverage=covered, pooling=biases)
    for world in CURSES if "curse" in only else []:
        add(f"winner's curse, {world.name}", curse=curse_rows(world, draws, seed))
    for world in AUDITS if "audit" in only else []:
        optimism, auto = audit_rows(world, draws, seed)
        add(f"audit, {world.name}, {world.slides} slides", audit=optimism, auto=auto)
    return found


def show(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Print a table."""
    cells = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


def _cell(value: object) -> str:
    return f"{value:+.5f}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    """Six digits: what a page can show, and what differs between versions of numpy does not."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def main() -> None:
    """Simulate, print, and write if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=["intervals", "curse", "audit"])
    parser.add_argument("--to", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()

    def keep(found: Found) -> None:
        if arguments.to:
            write(arguments.to, {"draws": arguments.draws, "seed": arguments.seed, **found})

    found = simulate(arguments.draws, arguments.seed, arguments.only, keep)
    for table, rows in found.items():
        print(table)
        show(rows, COLUMNS[table])
    if arguments.to:
        fill(arguments.to.with_suffix(".md"), arguments.to)


def write(path: Path, found: dict[str, Any]) -> None:
    """Write the figures; tables of an earlier run with as many draws and the same seed stay beside them."""
    before = json.loads(path.read_text()) if path.exists() else {}
    same = all(before.get(key) == found[key] for key in ("draws", "seed"))
    path.write_text(json.dumps((before if same else {}) | _rounded(found), indent=1) + "\n")


def fill(page: Path, figures: Path) -> None:
    """Bring the tables of the page beside the figures up to date, if there is one."""
    if page.exists():
        page.write_text(filled(page.read_text(), json.loads(figures.read_text())))


if __name__ == "__main__":
    main()
