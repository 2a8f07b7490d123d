"""Tables that leave columns out before they cut a cell."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

ENDLESS = 10_000  # columns


def widest_that_fits(tables: Iterable[Table], width: int) -> Table:
    """The first of `tables` (falling width) that a terminal of `width` columns shows whole; else the last."""
    chosen = Table()
    for chosen in tables:
        if natural_width(chosen) <= width:
            break
    return chosen


def natural_width(table: Table) -> int:
    """Columns of a terminal that `table` takes where there are enough of them."""
    return Console(width=ENDLESS).measure(table).maximum
