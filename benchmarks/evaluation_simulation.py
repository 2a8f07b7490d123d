"""Do the intervals, the nested audit and `blend: auto` hold what they promise? Members on imagined slides tell.

    python benchmarks/evaluation_simulation.py                        400 draws; prints tables, writes nothing
    python benchmarks/evaluation_simulation.py --to docs/evaluation.json     and the tables of docs/evaluation.md
    python benchmarks/evaluation_simulation.py --draws 40             a first look
    python benchmarks/evaluation_simulation.py --processes 2          two worlds at a time, the same figures

The estimators are those of the pipeline, called as it calls them; the truth is exact (simulation/slides.py). The same
seed gives the same figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulation.audits import audit_rows, curse_rows
from simulation.intervals import coverage_rows
from simulation.page import filled
from simulation.slides import (
    BLIND,
    CUT,
    UNKNOWN,
    World,
    alike,
    folded,
    nearly_alike,
    one_useless,
    unequal,
)

Row = dict[str, Any]
Found = dict[str, list[Row]]
After = Callable[[Found], None]
PATCHES = {20: 40, 40: 25, 160: 10}
"""Patches of a slide, on average, by number of slides."""
DEALT_WELL = [alike("alike", slides, patches, 2) for slides, patches in PATCHES.items()]
INTERVALS = [
    *DEALT_WELL,
    *(folded(world, BLIND, "folds blind") for world in DEALT_WELL[1:]),
    folded(DEALT_WELL[1], CUT, "slides cut in three"),
]
AUDITS = [
    *(alike("alike", slides, patches, 4) for slides, patches in PATCHES.items()),
    folded(alike("alike", 60, 20, 5), UNKNOWN, "slides unknown"),
    folded(alike("alike", 40, 25, 5), CUT, "slides cut in three"),
    replace(folded(alike("alike, strong slides", 40, 25, 5), CUT, "cut in three"), own_level=0.8),
    nearly_alike("nearly alike", 40, 25),
    unequal("different", 40, 25),
    folded(unequal("different", 40, 25), CUT, "slides cut in three"),
    *(one_useless("different, one useless", slides, PATCHES[slides]) for slides in (40, 160)),
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


def simulate(
    draws: int, seed: int, only: Sequence[str], after: After = lambda found: None, processes: int = 1
) -> Found:
    """The figures that are wanted, by table of `COLUMNS`; `after` is told those there are after each world."""
    worlds = {"intervals": INTERVALS, "curse": CURSES, "audit": AUDITS}
    tasks = [(what, world, draws, seed) for what in worlds if what in only for world in worlds[what]]
    found: Found = {}
    started = time.monotonic()
    with ProcessPoolExecutor(processes) if processes > 1 else nullcontext() as pool:
        results = (pool.map if pool else map)(figures, tasks)
        for (what, world, _, _), tables in zip(tasks, results, strict=True):
            passed = f"{time.monotonic() - started:6.0f} s"
            print(f"{passed}  {what}, {world.name}, {world.slides} slides", file=sys.stderr, flush=True)
            for table, rows in tables.items():
                found[table] = found.get(table, []) + rows
            after(found)
    return found


def figures(task: tuple[str, World, int, int]) -> Found:
    """The tables of one world: of (what, world, draws, seed)."""
    what, world, draws, seed = task
    if what == "curse":
        return {"curse": curse_rows(world, draws, seed)}
    if what == "intervals":
        covered, biases = coverage_rows(world, draws, seed)
        return {"coverage": covered, "pooling": biases}
    optimism, auto = audit_rows(world, draws, seed)
    return {"audit": optimism, "auto": auto}


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
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--to", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()

    def keep(found: Found) -> None:
        if arguments.to:
            write(arguments.to, {"draws": arguments.draws, "seed": arguments.seed, **found})

    found = simulate(arguments.draws, arguments.seed, arguments.only, keep, arguments.processes)
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
