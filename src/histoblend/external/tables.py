"""Predictions made elsewhere: tables read as they come, held to our ids, labels and folds, turned into logits.

Out-of-fold: `id`, one score, and where it is known `fold` and `label`. Test: `id` and one score, which may
also be called `label` as in a submission. The score is `logit`, `probability`, or `prediction` or `score`, which
are probabilities where all of them lie in [0, 1] and logits otherwise; with more than two classes
``logit_0, logit_1, ...`` or ``probability_0, probability_1, ...``. Other columns are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit

from histoblend.competition.recognise import PICTURE_SUFFIXES
from histoblend.errors import ArtifactRefusal, some
from histoblend.inference.predict import probabilities

PLAIN = ("prediction", "score")
CLIP = 1e-7
TOLERANCE = 1e-3
"""How far probabilities may miss their sum of 1, or the logits beside them: written tables are rounded."""


@dataclass(frozen=True)
class ForeignScores:
    """What a table says of each patch.

    Attributes:
        logits: float64 (n, outputs), in the order of the table.
        scale: ``logit`` or ``probability``, as the scores were given.
        columns: where they stood.
        clipped: how many probabilities were exactly 0 or 1.
    """

    logits: np.ndarray
    scale: str
    columns: tuple[str, ...]
    clipped: int


def read_foreign(path: Path, ids: pd.Series) -> pd.DataFrame:
    """Read a table as text and check that it holds each of `ids` exactly once; rows in the order of `ids`.

    Raises:
        ArtifactRefusal: it cannot be read, has no ids, or other ones.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ArtifactRefusal(f"{path} cannot be read: {error}.", "a CSV file with a column id") from error
    if "id" not in table:
        raise ArtifactRefusal(
            f"{path} has the columns {some(list(table.columns))}.", "a column id", "rename or add it."
        )
    _check_ids(table["id"], ids, path)
    return table.set_index("id", drop=False).loc[ids].reset_index(drop=True)


def _check_ids(found: pd.Series, ids: pd.Series, path: Path) -> None:
    wanted = f"each of the {len(ids):,} ids exactly once"
    if twice := sorted(set(found[found.duplicated()])):
        raise ArtifactRefusal(
            f"{path} holds {len(twice):,} ids more than once: {some(twice)}.",
            wanted,
            "average the views or seeds of a patch before.",
        )
    if foreign := sorted(set(found) - set(ids)):
        suffix = " take the file suffix off the ids;" if foreign[0].lower().endswith(PICTURE_SUFFIXES) else ""
        raise ArtifactRefusal(
            f"{path} holds {len(foreign):,} foreign ids: {some(foreign)}.",
            wanted,
            f"{suffix or ' take them out;'} or is it the other part's table, or another data set's?".strip(),
        )
    if missing := sorted(set(ids) - set(found)):
        raise ArtifactRefusal(
            f"{path} lacks {len(missing):,} ids: {some(missing)}.", wanted, "predict them too."
        )


def foreign_scores(table: pd.DataFrame, outputs: int, path: Path, *, test: bool) -> ForeignScores:
    """The scores of a table.

    Args:
        table: see the module; `outputs`: 1 for two classes, else their number.
        test: whether `label` is a score.

    Raises:
        ArtifactRefusal: no score, several, numbers that are none, out of range, or all the same.
    """
    scale, columns = _score_columns(list(table.columns), outputs, path, test=test)
    values = np.column_stack([_numbers(table, column, path) for column in columns])
    if scale == "plain":
        scale = "probability" if ((values >= 0) & (values <= 1)).all() else "logit"
    if scale == "logit":
        logits, clipped = values, 0
    else:
        _check_probabilities(table["id"], values, columns, path)
        logits, clipped = _as_logits(values)
    if np.ptp(logits, axis=0).max() == 0:
        raise ArtifactRefusal(f"{path}: {some(columns)} is the same for all patches.", "scores that differ")
    _check_both_agree(table, logits, path)
    return ForeignScores(logits, scale, tuple(columns), clipped)


def _score_columns(there: Sequence[str], outputs: int, path: Path, *, test: bool) -> tuple[str, list[str]]:
    """The scale (``plain`` for either) and the columns that hold the scores."""
    if outputs > 1:
        choices = {kind: [f"{kind}_{k}" for k in range(outputs)] for kind in ("logit", "probability")}
    else:
        choices = {"logit": ["logit"], "probability": ["probability"]}
    for scale, columns in choices.items():
        if set(columns) <= set(there):
            return scale, columns
    plain = [column for column in (*PLAIN, *(["label"] if test else [])) if column in there]
    if outputs == 1 and len(plain) == 1:
        return "plain", plain
    names = [", ".join(columns) for columns in choices.values()] + (list(PLAIN) if outputs == 1 else [])
    raise ArtifactRefusal(
        f"{path} has {'several scores' if plain else 'no score'} among its columns {some(there, 12)}.",
        f"one of: {'; '.join(names)}",
        "rename the column of the predictions.",
    )


def _numbers(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    broken = ~np.isfinite(values)
    if broken.any():
        ids = list(table["id"][broken])
        raise ArtifactRefusal(
            f"{path}: {column} is no finite number for {len(ids):,} ids: {some(ids)} "
            f"(the first is {table[column][broken].iloc[0]!r}).",
            "a finite number for each",
            "predict them anew.",
        )
    return values


def _check_probabilities(ids: pd.Series, values: np.ndarray, columns: Sequence[str], path: Path) -> None:
    outside = ((values < 0) | (values > 1)).any(axis=1)
    if outside.any():
        raise ArtifactRefusal(
            f"{path}: {some(columns)} lies outside [0, 1] for {outside.sum():,} ids: {some(list(ids[outside]))}.",
            "probabilities",
            "call the column logit if logits are what it holds.",
        )
    if values.shape[1] > 1:
        off = np.abs(values.sum(axis=1) - 1) > TOLERANCE
        if off.any():
            raise ArtifactRefusal(
                f"{path}: the probabilities of {off.sum():,} ids do not sum to 1: {some(list(ids[off]))}.",
                "a softmax over all classes",
                "normalise them, or give logits.",
            )


def _as_logits(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Logits, and how many exact zeros and ones were moved inwards; never past another probability."""
    small, large = values[values > 0], 1 - values[values < 1]
    low = min(CLIP, small.min(initial=1)) / 2
    high = min(1 - min(CLIP, large.min(initial=1)) / 2, float(np.nextafter(1, 0)))
    clipped = np.clip(values, low, high)
    moved = int((clipped != values).sum())
    return (logit(clipped) if values.shape[1] == 1 else np.log(clipped)), moved


def _check_both_agree(table: pd.DataFrame, logits: np.ndarray, path: Path) -> None:
    """Where a table of two classes holds a logit and a probability, they have to be those of each other."""
    if logits.shape[1] > 1 or not {"logit", "probability"} <= set(table.columns):
        return
    given = _numbers(table, "probability", path)
    off = np.abs(probabilities(logits)[:, 0] - given) > TOLERANCE
    if off.any():
        raise ArtifactRefusal(
            f"{path}: logit and probability contradict each other for {off.sum():,} ids: "
            f"{some(list(table['id'][off]))}.",
            "probability = 1 / (1 + exp(-logit))",
            "take one of the columns out.",
        )


def check_labels(table: pd.DataFrame, folds: pd.DataFrame, path: Path) -> None:
    """Check the labels of an out-of-fold table, where it has any, against those of `folds` (same order).

    Raises:
        ArtifactRefusal: they contradict.
    """
    if "label" not in table:
        return
    labels = pd.to_numeric(table["label"], errors="coerce").to_numpy(np.float64)
    other = labels != folds["label"].to_numpy(np.float64)
    if other.any():
        raise ArtifactRefusal(
            f"{path} has another label than folds.csv for {other.sum():,} ids: {some(list(table['id'][other]))}.",
            "the labels of this data (the prediction stands in another column)",
            "find out which data it was trained on.",
        )


def check_folds(table: pd.DataFrame, folds: pd.DataFrame, path: Path) -> None:
    """Check the fold column of an out-of-fold table against that of `folds` (id, slide, fold; same order).

    Raises:
        ArtifactRefusal: the folds are others; says whether only their numbers are, or slides are torn.
    """
    theirs = pd.to_numeric(table["fold"], errors="coerce").to_numpy(np.float64)
    ours = folds["fold"].to_numpy(np.float64)
    other = theirs != ours
    if not other.any():
        return
    pairs = pd.DataFrame({"slide": folds["slide"].to_numpy(), "theirs": table["fold"], "ours": ours})
    found = (
        f"{path} has another fold than folds.csv for {other.sum():,} ids: {some(list(table['id'][other]))}."
    )
    torn = _in_several(pairs, "slide", "theirs")
    remedy = (
        "train it anew, each fold's patches predicted by a model that saw the other folds of folds.csv only."
    )
    if not _in_several(pairs, "theirs", "ours") and not _in_several(pairs, "ours", "theirs"):
        found += " They are the same parts under other numbers."
        remedy = "take the numbers from folds.csv, by id."
    elif torn:
        found += f" They cut through {len(torn):,} slides: {some(torn)}: its models saw the slides it is scored on."
    raise ArtifactRefusal(found, "the column fold of folds.csv", remedy)


def _in_several(pairs: pd.DataFrame, inner: str, outer: str) -> list[object]:
    spread = pairs.groupby(inner)[outer].nunique()
    return sorted(spread.index[spread > 1])
