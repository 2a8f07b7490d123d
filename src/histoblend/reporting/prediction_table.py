"""What was predicted, for the terminal: rows of the table of predictions, None where it is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

SHOWN = 40  # rows on a terminal; the CSV holds all
MEAN_OF = "mean "  # before the name of a class: the column of its mean

Row = Mapping[str, Any]


def printed_answers(rows: Sequence[Row], title: str) -> Table:
    """One row a picture, those that could not be read among them with their fault."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("picture", "size", "tiles", "highest", "mean", "at x,y", "of"):
        side = "left" if heading in ("picture", "of") else "right"
        table.add_column(heading, justify="left" if side == "left" else "right", overflow="fold")
    for row in rows[:SHOWN]:
        table.add_row(*_cells(row))
    if len(rows) > SHOWN:
        table.caption, table.caption_justify = f"{len(rows) - SHOWN:,} more stand in the CSV", "left"
    return table


def _cells(row: Row) -> list[str]:
    if row["probability"] is None:
        return [row["picture"], "", "", "", "", "", f"not read: {row['fault']}"]
    size, highest = f"{row['width']}x{row['height']}", f"{row['probability']:.4f}"
    if row["x"] is None:
        return [row["picture"], size, "1", highest, "", "", row["probability_of"]]
    numbers = [f"{row['tiles']:,}", highest, f"{row['mean']:.4f}", f"{row['x']},{row['y']}"]
    return [row["picture"], size, *numbers, row["probability_of"]]


def spoken_answer(row: Row) -> str:
    """One picture's row as a sentence."""
    note = f"; {row['note']}" if row["note"] else ""
    size = f"{row['width']} x {row['height']} pixels{note}"
    said, highest = f"{row['picture']}: probability of {row['probability_of']}", f"{row['probability']:.4f}"
    if row["x"] is None:
        means = [(name, value) for name, value in row.items() if name.startswith(MEAN_OF)]
        others = ", ".join(f"{name.removeprefix(MEAN_OF)} {value:.4f}" for name, value in means)
        return f"{said} {highest} ({size}){f' of all: {others}' if others else ''}"
    return (
        f"{said}: highest {highest} at x {row['x']}, y {row['y']}; mean {row['mean']:.4f} over "
        f"{row['tiles']:,} tiles ({size})"
    )
