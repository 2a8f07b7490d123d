"""What was predicted, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from histoblend.inference.answers import Answer

SHOWN = 40  # rows on a terminal; the CSV holds all


def printed_answers(answers: Sequence[Answer], title: str) -> Table:
    """One row a picture, those that could not be read among them with their fault."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("picture", "size", "tiles", "highest", "mean", "at x,y", "of"):
        side = "left" if heading in ("picture", "of") else "right"
        table.add_column(heading, justify="left" if side == "left" else "right", overflow="fold")
    for answer in answers[:SHOWN]:
        table.add_row(*_cells(answer))
    if len(answers) > SHOWN:
        table.caption, table.caption_justify = f"{len(answers) - SHOWN:,} more stand in the CSV", "left"
    return table


def _cells(answer: Answer) -> list[str]:
    if answer.probability is None:
        return [answer.picture, "", "", "", "", "", f"not read: {answer.fault}"]
    size = f"{answer.width}x{answer.height}"
    if answer.x is None:
        return [answer.picture, size, "1", f"{answer.probability:.4f}", "", "", answer.probability_of]
    place = f"{answer.x},{answer.y}"
    numbers = [f"{answer.tiles:,}", f"{answer.probability:.4f}", f"{answer.mean:.4f}", place]
    return [answer.picture, size, *numbers, answer.probability_of]


def spoken_answer(answer: Answer) -> str:
    """One picture's answer as a sentence."""
    size = f"{answer.width} x {answer.height} pixels"
    note = f"; {answer.note}" if answer.note else ""
    if answer.x is None:
        others = "".join(f", {name} {value:.4f}" for name, value in answer.per_class.items())
        said = f"{answer.picture}: probability of {answer.probability_of} {answer.probability:.4f}"
        return f"{said} ({size}{note}){' of all:' + others[1:] if others else ''}"
    return (
        f"{answer.picture}: probability of {answer.probability_of}: highest {answer.probability:.4f} at x {answer.x}, "
        f"y {answer.y}; mean {answer.mean:.4f} over {answer.tiles:,} tiles ({size}{note})"
    )
