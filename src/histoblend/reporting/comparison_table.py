"""A comparison for the terminal: scores, folds, settings, costs, disagreements; plain rows in, tables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from histoblend.reporting.fit_width import natural_width

LONGEST_ID = 12  # characters of an id that are printed; the CSV has all
WHOLE = ("id", "label", "slide", "p", "fold")  # columns that are never folded
SHOWN = 12  # rows of disagreements; the CSV has all


def _table(title: str, headings: Mapping[str, str], caption: str | None = None) -> Table:
    """An empty table; `headings` say the side of each column."""
    table = Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading, side in headings.items():
        whole = heading in WHOLE
        table.add_column(
            heading, justify="left" if side == "left" else "right", overflow="fold", no_wrap=whole
        )
    return table


def printed_scores(rows: Sequence[Sequence[str]], title: str, first: str, several: bool = False) -> Table:
    """Name, AUC with interval, difference to the first with interval, p, rank correlation with the first.

    Args:
        several: whether there are more than two classes, so that it is said what AUC and ranks are of them.
    """
    headings = {
        "name": "left",
        "AUC [95 %]": "right",
        f"less {first} [95 %]": "right",
        "p": "right",
        "ranks": "right",
    }
    caption = f"ranks: Spearman's correlation with {first}, ranks taken within each fold"
    if several:
        caption += ", over the log-odds of each class\nAUC: mean over the classes, each against the rest"
    table = _table(title, headings, caption)
    for row in rows:
        table.add_row(*row)
    return table


def printed_folds(aucs: Mapping[int, Sequence[float]], names: Sequence[str]) -> Table:
    """One row a fold, the best of it bold and marked; the last row counts the folds won."""
    table = _table("AUC by fold (*: best)", {"fold": "left", **dict.fromkeys(names, "right")})
    won = [0] * len(names)
    for fold, values in aucs.items():
        best = max(values)
        cells = []
        for place, value in enumerate(values):
            winner = value == best
            won[place] += winner
            cells.append(f"[bold]{value:.4f}*[/bold]" if winner else f"{value:.4f} ")
        table.add_row(str(fold), *cells)
    table.add_section()
    table.add_row("won", *(f"{count} " for count in won))
    return table


def printed_settings(
    differing: Mapping[str, Sequence[str]], names: Sequence[str], what: str, width: int
) -> Table:
    """One row a setting that is not the same in all; long values are folded to a terminal of `width` columns."""
    table = _table(f"Settings that differ, of {what}", {"setting": "left", **dict.fromkeys(names, "left")})
    for key, values in differing.items():
        table.add_row(_plain(key), *(_plain(value) for value in values))
    if natural_width(table) > width:
        table.width = width
    return table


def printed_costs(rows: Sequence[Sequence[str]], blends: bool = False) -> Table:
    """One row an experiment: minutes, folds, images/s, numbers stored; whether there are `blends` among them."""
    headings = {"name": "left", "min": "right", "folds": "right", "img/s": "right", "stored numbers": "right"}
    caption = "stored numbers: parameters and normalisation statistics of one fold's model"
    caption += "\nof a blend: sums over the members that have a weight" if blends else ""
    table = _table("Cost", headings, caption)
    for row in rows:
        table.add_row(*row)
    return table


def printed_disagreements(rows: Sequence[Sequence[str]], names: Sequence[str], of_class: str | None) -> Table:
    """The patches whose ranks are farthest apart: id, label, slide, one rank a side.

    Args:
        of_class: whose probability is ranked; None for that of each patch's own class.
    """
    headings = {"id": "left", "label": "left", "slide": "left", **dict.fromkeys(names, "right")}
    table = _table(
        "Where they disagree most: percentile rank within the fold (*: suits the label best)",
        headings,
        f"1: the most likely {of_class} of its fold"
        if of_class
        else "Patches are ranked by the odds of their own class, among all of their fold: 1 is the highest",
    )
    for row in rows[:SHOWN]:
        table.add_row(shortened(row[0]), *row[1:])
    return table


def shortened(identity: str) -> str:
    """An id cut to what a table has room for."""
    return identity if len(identity) <= LONGEST_ID else f"{identity[: LONGEST_ID - 2]}.."


def _plain(text: str) -> str:
    """Square brackets as they stand, not as markup."""
    return text.replace("[", "\\[")
