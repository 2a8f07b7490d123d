"""What training does with odd patches: keep, drop, hold together in one fold, stop. Pure.

The kinds are gone through in the order of `KINDS`, each among the patches that the kinds before it have left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoblend.config import DataSettings
from histoblend.data.duplicates import NearGroups, crowd_sentence
from histoblend.data.grouping import connect
from histoblend.errors import DataRefusal, some

CONVERTED = ("greyscale", "alpha", "palette", "16 bit", "CMYK", "EXIF rotation", "multi-page")
OTHER_SIZE = ("other size",)


@dataclass(frozen=True)
class DataFindings:
    """What was found among the training patches; what is not `needed` may be left out.

    Attributes:
        odd_files: part, id, kind, detail of the files that were converted.
        blank: object (n,) of str, "" for a patch with something on it; row i describes row i of the train table.
        near: who is a near duplicate of whom; patches of the same pixels are in one group.
        stain_outliers: bool (n,).
    """

    odd_files: pd.DataFrame
    blank: NDArray[Any] | None = None
    near: NearGroups | None = None
    stain_outliers: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Handled:
    """The training patches that are left.

    Attributes:
        kept: rows of the train table with their index, and `twins` (str): equal for rows that must stay in one fold.
        dropped: id, reason.
        sentences: what was done with each kind that was found.
    """

    kept: pd.DataFrame
    dropped: pd.DataFrame
    sentences: tuple[str, ...]


def needed(settings: DataSettings) -> frozenset[str]:
    """Which of ``blank``, ``near`` and ``stain_outliers`` must be looked for: what is kept anyway need not be."""
    asked = {
        "blank": settings.blank,
        "near": settings.near_duplicates,
        "stain_outliers": settings.stain_outliers,
    }
    return frozenset(name for name, action in asked.items() if action != "keep")


def handle(train: pd.DataFrame, findings: DataFindings, settings: DataSettings) -> Handled:
    """Decide what becomes of every training patch.

    Args:
        train: id (str), label (int64), pixel_hash (str); its index is preserved.

    Raises:
        DataRefusal: something was found that is to stop the run (all of it is named), or a class would lose its
            last patch.
        ValueError: the settings need something that was not looked for.
    """
    if missing := [name for name in sorted(needed(settings)) if getattr(findings, name) is None]:
        raise ValueError(f"the settings need {missing}, which was not looked for")
    left = _annotated(train, findings)
    dropped, sentences, stops = [_table(pd.Series(dtype=str), left)], _crowds(train, findings.near), []
    for kind, (name, find) in KINDS.items():
        action = getattr(settings, kind)
        reasons = find(left, action)
        if reasons.empty:
            continue
        sentence = _sentence(kind, action, name, left.loc[reasons.index, "id"])
        if (kind, action) not in TOLD_BY_THE_PACK:
            sentences.append(sentence)
        if action == "stop":
            stops.append((sentence, kind))
        if action == "drop":
            dropped.append(_table(f"{kind}: " + reasons, left))
            left = left.drop(index=reasons.index)
    _check_stops(stops)
    gone = pd.concat(dropped, ignore_index=True)
    _check_classes(train, left, gone)
    assert len(left) + len(gone) == len(train), "dropped means dropped"
    return Handled(left[list(train.columns)].assign(twins=_twins(left, settings)), gone, tuple(sentences))


def _annotated(train: pd.DataFrame, findings: DataFindings) -> pd.DataFrame:
    """The train table with what was found in columns of its own."""
    odd = findings.odd_files[findings.odd_files["part"] == "train"]
    blank, near, outlying = findings.blank, findings.near, findings.stain_outliers
    return train.assign(
        _converted=_kinds_by_id(train["id"], odd, CONVERTED),
        _other_size=_kinds_by_id(train["id"], odd, OTHER_SIZE),
        _blank="" if blank is None else blank,
        _near=np.arange(len(train)) if near is None else near.number,
        _outlying=False if outlying is None else outlying,
    )


def _crowds(train: pd.DataFrame, near: NearGroups | None) -> list[str]:
    parted = 0 if near is None else train["pixel_hash"][near.parted].nunique()
    sentence = crowd_sentence(parted, "training patches")
    return [sentence] if sentence else []


def _kinds_by_id(ids: pd.Series, odd: pd.DataFrame, kinds: tuple[str, ...]) -> pd.Series:
    """The kinds found in each id's file, joined; "" where there are none."""
    chosen = odd[odd["kind"].isin(kinds)]
    return ids.map(chosen.groupby("id")["kind"].agg(", ".join)).fillna("").astype(str)


Finder = Callable[[pd.DataFrame, str], pd.Series]
"""Reasons (str) by index of the rows a kind concerns, for the action that will be taken."""


def _named(column: str) -> Finder:
    return lambda left, _: left.loc[left[column] != "", column].astype(str)


def _outlying(left: pd.DataFrame, _: str) -> pd.Series:
    return (
        left.loc[left["_outlying"].astype(bool), "id"]
        .map(lambda _: "colours far from all others")
        .astype(str)
    )


def _conflicting(left: pd.DataFrame, _: str) -> pd.Series:
    labels = left.groupby("pixel_hash")["label"]
    torn = left[labels.transform("nunique") > 1]
    return "same pixels, other label: set " + torn["pixel_hash"].astype(str)


def _repeated(left: pd.DataFrame, action: str) -> pd.Series:
    """All but the first by id; where they are to be dropped, of each label: labels that differ are another matter."""
    ordered = left.sort_values("id", kind="stable")
    keys = ["pixel_hash", "label"] if action == "drop" else ["pixel_hash"]
    first = ordered.groupby(keys)["id"].transform("first")
    return ("same pixels as " + first)[ordered["id"] != first]


def _nearly_repeated(left: pd.DataFrame, action: str) -> pd.Series:
    """The same of near duplicates: the first picture stays, and with any other picture go all patches that show it.

    Exact copies of one picture are dealt with by their own kind: where nothing is dropped a picture counts once.
    """
    ordered = left.sort_values("id", kind="stable")
    if action != "drop":
        ordered = ordered.drop_duplicates("pixel_hash")
    keys = ["_near", "label"] if action == "drop" else ["_near"]
    groups = ordered.groupby(keys)
    other = ordered["pixel_hash"] != groups["pixel_hash"].transform("first")
    return ("nearly the same as " + groups["id"].transform("first"))[other]


KINDS: dict[str, tuple[str, Finder]] = {
    "converted": ("had to be converted", _named("_converted")),
    "other_size": ("had another size", _named("_other_size")),
    "blank": ("are blank", _named("_blank")),
    "stain_outliers": ("have colours far from all others", _outlying),
    "conflicting_labels": ("have the same pixels as one of another label", _conflicting),
    "duplicates": ("repeat the pixels of another", _repeated),
    "near_duplicates": ("are near duplicates of another", _nearly_repeated),
}
"""Settings of `DataSettings` that are decided here, each with what is said of its patches and how they are found."""

TOLD_BY_THE_PACK = {("converted", "keep"), ("other_size", "keep")}  # "Odd files: ..." names them already
DONE = {"keep": "kept", "drop": "dropped", "group": "kept in one fold with it", "stop": "to stop the run"}


def _sentence(kind: str, action: str, name: str, ids: pd.Series) -> str:
    return (
        f"{len(ids):,} training patches {name}: {DONE[action]} (data.{kind}={action}): {some(sorted(ids), 3)}"
    )


def _table(reasons: pd.Series, left: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"id": left.loc[reasons.index, "id"], "reason": reasons}, dtype=str)


def _twins(left: pd.DataFrame, settings: DataSettings) -> pd.Series:
    """The first id of the patches that must stay together; a patch's own where it stands alone."""
    alone = left["id"]
    pixels = alone if settings.duplicates == "keep" else left["pixel_hash"]
    tissue = alone if settings.near_duplicates == "keep" else _tissue(left)
    groups = pd.Series(connect(pixels, tissue), index=left.index)
    return alone.groupby(groups).transform("min").astype(str)


def _tissue(left: pd.DataFrame) -> pd.Series:
    """The near group; a row's own where its group shows one picture only, for exact copies are another setting's."""
    pictures = left.groupby("_near")["pixel_hash"].transform("nunique")
    return left["_near"].where(pictures > 1, -1 - np.arange(len(left)))


def _check_stops(stops: list[tuple[str, str]]) -> None:
    if stops:
        raise DataRefusal(
            "; ".join(sentence for sentence, _ in stops) + ".",
            "none of these among the training patches",
            "take them out, or choose what is done with them: "
            + " ".join(f"--set data.{kind}=keep" for _, kind in stops)
            + " (or drop).",
        )


def _check_classes(train: pd.DataFrame, left: pd.DataFrame, gone: pd.DataFrame) -> None:
    if lost := sorted(set(train["label"]) - set(left["label"])):
        kinds = sorted(set(gone["reason"].str.split(":").str[0]))
        raise DataRefusal(
            f"Dropping {len(gone):,} of {len(train):,} training patches leaves none of class {some(lost)}.",
            "patches of every class",
            "keep some of these: " + " ".join(f"--set data.{kind}=keep" for kind in kinds) + ".",
        )
