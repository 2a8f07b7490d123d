"""Ids as they stand and as they were meant: what was done to them is undone, so that each fault is told once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from histoblend.checking.sheet import as_number
from histoblend.competition.recognise import PICTURE_SUFFIXES

PADDING = " \t\u00a0'\"`"


@dataclass(frozen=True)
class Ids:
    """The ids of a submission.

    Attributes:
        meant: as they were meant; all that follows joins by them.
        undone: by kind of damage the first ids that had it, as they stood; `counts`: how many had it.
        asked: the ids to submit, in order; None where they are not known.
        training: ids of the run's training patches; empty where there is no run.
        vouched: by which figure the values belong to their ids; empty where nothing says so.
    """

    meant: list[str]
    undone: dict[str, list[str]]
    counts: dict[str, int]
    asked: tuple[str, ...] | None
    training: frozenset[str] = frozenset()
    vouched: str = ""

    @property
    def foreign(self) -> list[str]:
        """The ids nobody asked for, each once."""
        asked = set(self.asked or ())
        return list(dict.fromkeys(name for name in self.meant if name not in asked))


def read_ids(cells: Sequence[str], asked: tuple[str, ...] | None) -> Ids:
    """Undo padding, folders and suffixes, capitals and numbers, wherever that gives an id that is asked for.

    Where the ids are not known, padding and picture suffixes are undone all the same.
    """
    known = set(asked) if asked is not None else None
    repairs = {"padding": _unpadded, "suffix": _bare, "case": str.lower, "number": _number_reader(asked)}
    undone: dict[str, list[str]] = {key: [] for key in repairs}
    meant, counts = [], dict.fromkeys(repairs, 0)
    for cell in cells:
        now = cell
        for key, repair in repairs.items():
            if known is not None and now in known:
                break
            better = repair(now)
            if better != now and (known is not None or key in ("padding", "suffix")):
                counts[key] += 1
                undone[key] += [cell] if len(undone[key]) < 3 else []
                now = better
        meant.append(now if known is None or now in known else _unpadded(cell))
    return Ids(meant, undone, counts, asked)


def _unpadded(name: str) -> str:
    return name.strip(PADDING)


def _bare(name: str) -> str:
    """Without folders before a picture's name, and without its suffix."""
    last = name.replace("\\", "/").rpartition("/")[2]
    for suffix in PICTURE_SUFFIXES:
        if last.lower().endswith(suffix):
            return last[: -len(suffix)]
    return name


def _number_reader(asked: tuple[str, ...] | None) -> Callable[[str], str]:
    """Finds the one id that is asked for and reads as the same number."""
    by_number: dict[float, list[str]] = {}
    for name in asked or ():
        number = as_number(name)
        if number is not None:
            by_number.setdefault(number, []).append(name)

    def read(name: str) -> str:
        number = as_number(name)
        candidates = by_number.get(number, []) if number is not None else []
        return candidates[0] if len(candidates) == 1 else name

    return read
