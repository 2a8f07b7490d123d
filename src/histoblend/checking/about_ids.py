"""Diagnoses of the ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from histoblend.checking.findings import Diagnosis
from histoblend.checking.ids import Ids
from histoblend.errors import counted, some


def _damaged(key: str, what: str) -> Callable[[Ids], str | None]:
    def look(ids: Ids) -> str | None:
        number = ids.counts[key]
        shown = ", ".join(repr(name) for name in ids.undone[key][:1])
        return f"{counted(number, 'id')} {what}, such as {shown}." if number else None

    return look


def _twice(ids: Ids) -> str | None:
    twice = [name for name, count in Counter(ids.meant).items() if count > 1]
    return f"{counted(len(twice), 'id')} more than once: {some(twice, 2)}." if twice else None


def _lacking(ids: Ids) -> str | None:
    there = set(ids.meant)
    lacking = [name for name in ids.asked or () if name not in there]
    if not lacking:
        return None
    return f"{counted(len(lacking), 'id')} of {len(ids.asked or ()):,} not there: {some(lacking, 2)}."


def _foreign(ids: Ids) -> str | None:
    if ids.asked is None:
        return None
    foreign = ids.foreign
    if not foreign:
        return None
    if learnt := sum(name in ids.training for name in foreign):
        which = (
            "All" if learnt == len(set(ids.meant)) else f"{learnt:,} of {counted(len(set(ids.meant)), 'id')}"
        )
        return f"{which} are ids of training patches of this run, such as {foreign[0]}."
    if len(foreign) == len(set(ids.meant)):
        return f"None of the ids was asked for; the first are {', '.join(map(repr, foreign[:2]))}."
    return f"{counted(len(foreign), 'id')} that nobody asked for: {some(foreign, 2)}."


def _which_table(ids: Ids) -> str:
    if ids.training.issuperset(ids.foreign):
        return "These are out-of-fold predictions: take test.csv, not oof.csv."
    return "Take them out; is it the training part, or another data set?"


def _other_order(ids: Ids) -> str | None:
    if ids.asked is None or Counter(ids.meant) != Counter(ids.asked) or tuple(ids.meant) == ids.asked:
        return None
    moved = sum(ours != theirs for ours, theirs in zip(ids.meant, ids.asked, strict=True))
    return f"The ids stand in another order than the sample's: {moved:,} of {len(ids.asked):,} elsewhere."


def _moved_along(ids: Ids) -> str:
    if ids.vouched:
        return f"Harmless: the values moved along ({ids.vouched}), and rows are joined by id."
    return "Harmless if every value moved with its id: rows are joined by id. A model it is held against shows it."


DIAGNOSES: tuple[Diagnosis[Ids], ...] = (
    Diagnosis(
        "spaces or quotes",
        "wrong",
        _damaged("padding", "with spaces or quotes around them"),
        "Strip them: another text is another id.",
    ),
    Diagnosis(
        "file names",
        "wrong",
        _damaged("suffix", "with a folder or a file suffix left on"),
        "Take it off: Path(name).stem.",
    ),
    Diagnosis("capitals", "wrong", _damaged("case", "in capitals"), "Keep the ids as they are given."),
    Diagnosis(
        "ids as numbers",
        "wrong",
        _damaged("number", "read as numbers on the way"),
        "Read ids as text: read_csv(..., dtype={'id': str}); no detour through Excel.",
    ),
    Diagnosis(
        "ids twice", "wrong", _twice, "Write each id once; average a patch's several predictions before."
    ),
    Diagnosis("ids lacking", "wrong", _lacking, "Predict them too; start from the sample's ids, join by id."),
    Diagnosis("foreign ids", "wrong", _foreign, _which_table),
    Diagnosis("order of ids", "warning", _other_order, _moved_along),
)
