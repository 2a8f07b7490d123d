"""Patches that are there more than once: exactly or nearly, within train, across train and test, with which labels."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from histoblend.audit.findings import Finding, Part, Severity, patch_rows
from histoblend.config import DataSettings
from histoblend.data.duplicates import crowd_sentence, near_groups
from histoblend.data.near_duplicates import near_pairs, near_pairs_between
from histoblend.data.perceptual_hash import Progress
from histoblend.errors import counted

ACROSS = "train + test"
ENDS = ("first", "second")
NEAR_CONFLICT = "near duplicates, other label"
LEAK = "A model that has seen their labels is scored on memory there."
SHIFTED_LABEL = "One label may be wrong; or the shift has moved the labelled centre."


def exact_findings(train: Part, test: Part, settings: DataSettings) -> list[Finding]:
    """Sets of patches with the same pixels: within train, within test, across, and with labels that differ."""
    everything = pd.concat([part.table.assign(part=part.name) for part in (train, test)], ignore_index=True)
    repeated = everything[everything["pixel_hash"].duplicated(keep=False)].sort_values(["part", "id"])
    sets = [rows for _, rows in repeated.groupby("pixel_hash", sort=False)]
    inside = {name: [rows for rows in sets if set(rows["part"]) == {name}] for name in ("train", "test")}
    across = [
        rows.sort_values(["part", "id"], ascending=[False, True])
        for rows in sets
        if rows["part"].nunique() > 1
    ]
    torn = [rows for rows in (r[r["part"] == "train"] for r in sets) if rows["label"].nunique() > 1]
    found = [
        _exact("exact duplicates", "odd", "train", inside["train"], settings.duplicates),
        _exact("exact duplicates", "note", "test", inside["test"], "keep"),
        _exact("exact duplicates", "wrong", ACROSS, across, "keep"),
        _exact("conflicting labels", "wrong", "train", torn, settings.conflicting_labels),
    ]
    return [finding for finding in found if finding is not None]


def _exact(
    kind: str, severity: Severity, part: str, sets: Sequence[pd.DataFrame], training: str
) -> Finding | None:
    if not sets:
        return None
    said = {
        "exact duplicates": "share their pixels",
        "conflicting labels": "share their pixels with a patch of another label: at least one label is wrong",
    }[kind]
    rows = [
        (where, name, f"set {number + 1}: same pixels as {_others(name, members['id'])}", number)
        for number, members in enumerate(sets)
        for where, name in members[["part", "id"]].to_numpy()
    ]
    sentence = f"{counted(len(rows), 'patch')} in {counted(len(sets), 'set')} {said}."
    if part == ACROSS:
        sentence = (
            f"{counted(len(rows), 'patch')} in {counted(len(sets), 'set')} lie in train and in test. {LEAK}"
        )
    return Finding(kind, severity, part, sentence, training, patch_rows(rows), values={"sets": len(sets)})


def _others(name: str, ids: pd.Series) -> str:
    others = [other for other in ids if other != name] or [name]  # an id may stand in train and in test
    return others[0] if len(others) == 1 else f"{others[0]} and {len(others) - 1:,} more"


def near_findings(
    train: Part, test: Part, settings: DataSettings, progress: Progress | None = None
) -> list[Finding]:
    """Sets of near duplicates, exact ones left aside: within train, of train with labels that differ, across."""
    first = np.flatnonzero(~train.table["pixel_hash"].duplicated())
    inside = _with_ids(near_pairs(train.images, first, progress), train, train)
    between = _with_ids(near_pairs_between(train.images, test.images, progress), train, test)
    between = between[between["first_hash"] != between["second_hash"]]
    held, parted = _held(inside)
    torn = held[held["first_label"] != held["second_label"]]
    held_across, parted_across = _held(between)
    found = [
        _near("near duplicates", "odd", "train", held, settings.near_duplicates),
        _near(NEAR_CONFLICT, "odd", "train", torn, settings.near_duplicates),
        _near("near duplicates", "wrong", ACROSS, held_across, "keep"),
        _look_alikes("train", parted),
        _look_alikes(ACROSS, parted_across),
    ]
    return [finding for finding in found if finding is not None]


def _with_ids(pairs: pd.DataFrame, left: Part, right: Part) -> pd.DataFrame:
    """Ids, hashes and labels of both ends beside their rows."""
    columns: dict[str, Any] = {}
    for end, part in zip(ENDS, (left, right), strict=True):
        rows = part.table.iloc[pairs[end].to_numpy()]
        columns |= {
            f"{end}_id": rows["id"].to_numpy(),
            f"{end}_hash": rows["pixel_hash"].to_numpy(),
            f"{end}_label": rows["label"].to_numpy() if "label" in rows else np.full(len(rows), -1),
            f"{end}_part": np.full(len(rows), part.name),
        }
    return pairs.assign(**columns)


def _held(pairs: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The pairs that training holds together too, with their `set`, and how many pictures are in crowds parted.

    A picture counts once, however many exact copies there are of it.
    """
    pictures, names = pd.factorize(pd.concat([pairs["first_hash"], pairs["second_hash"]]))
    first, second = pictures[: len(pairs)], pictures[len(pairs) :]
    groups = near_groups(len(names), pairs.assign(first=first, second=second))
    together = groups.number[first] == groups.number[second]
    sets, _ = pd.factorize(groups.number[first][together])
    return pairs[together].assign(set=sets), int(groups.parted.sum())


def _near(kind: str, severity: Severity, part: str, pairs: pd.DataFrame, training: str) -> Finding | None:
    """Sets in the order of their closest pair."""
    if pairs.empty:
        return None
    rows, sets = _near_rows(pairs), pairs["set"].nunique()
    ending = LEAK if part == ACROSS else SHIFTED_LABEL if kind == NEAR_CONFLICT else ""
    sentence = (
        f"{counted(len(rows), 'patch')} in {counted(sets, 'set')} are nearly the same: recompressed, brightened, "
        f"shifted by a pixel or two, turned or mirrored. {ending}".strip()
    )
    values = {"sets": sets, "pairs": len(pairs), "least_correlation": float(pairs["correlation"].min())}
    return Finding(kind, severity, part, sentence, training, rows, values=values)


def _look_alikes(part: str, parted: int) -> Finding | None:
    """Crowds that were parted; a fact, for they are no copies."""
    sentence = crowd_sentence(parted, f"patches of {part}")
    return Finding("look-alikes", "note", part, sentence, number=parted) if sentence else None


def _near_rows(pairs: pd.DataFrame) -> pd.DataFrame:
    """Each patch of a pair once, with the patch it is most like; those of one set in a row."""
    rows: dict[tuple[str, str], tuple[str, str, str, int]] = {}
    for pair in pairs.to_dict("records"):
        for end, other in zip(ENDS, reversed(ENDS), strict=True):
            part, name = pair[f"{end}_part"], pair[f"{end}_id"]
            rows.setdefault((part, name), (part, name, _detail(pair, other), int(pair["set"])))
    return patch_rows(sorted(rows.values(), key=itemgetter(3)))  # stable: within a set as they came


def _detail(pair: dict[str, object], other: str) -> str:
    turned = ", turned or mirrored" if pair["turned"] else ""
    return f"{pair['correlation']:.2f} like {pair[f'{other}_part']} {pair[f'{other}_id']}{turned}"
