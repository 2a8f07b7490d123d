"""One split for all experiments: stratified, grouped by slide, duplicates together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from histoblend.data.grouping import connect, deal
from histoblend.errors import ArtifactRefusal, ConfigRefusal, DataRefusal, some
from histoblend.workspace import write_csv

MOST_GROUPS = 14  # whose 16,384 sets are all looked at for an inner split
COLUMNS = ["id", "label", "slide", "fold"]


def make_folds(frame: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Split into `count` folds; the same for every order of the rows.

    Args:
        frame: id (str), label (0 to classes - 1), slide (str), twins (equal for patches that belong
            together), one row per training patch.

    Returns:
        id, label, slide, fold (int64, 0 to count - 1), sorted by id.

    Raises:
        ConfigRefusal: fewer than two folds are asked for.
        DataRefusal: too few groups for that many folds, or a fold would hold one class only.
    """
    if count < 2:
        raise ConfigRefusal(f"{count} folds were asked for.", "two or more", "set folds.count to 2 or more.")
    frame = frame.sort_values("id", kind="stable").reset_index(drop=True)
    groups = connect(frame["slide"], frame["twins"])
    if groups.max() + 1 < count:
        raise _too_few_groups(int(groups.max()) + 1, frame["slide"].nunique(), count)
    labels = frame["label"].to_numpy(dtype=np.int64)
    frame["fold"] = deal(groups, labels, [1 / count] * count, seed)
    _check_classes(frame, count)
    return frame[COLUMNS]


def folds_fingerprint(folds: pd.DataFrame) -> str:
    """Twelve hex digits that identify a split, whatever the order of its rows."""
    text = folds[COLUMNS].sort_values("id", kind="stable").to_csv(index=False, lineterminator="\n")
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def inner_split(
    frame: pd.DataFrame, training: npt.NDArray[np.bool_], fraction: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Cut a validation part out of the training folds, for recipes that watch a metric.

    Args:
        frame: id, label, slide, twins, in any order.
        training: bool (n,), the rows of the training folds.
        fraction: wanted share of the training rows, between 0 and 1.

    Returns:
        bool (n,): the validation rows, all within `training`, no slide or duplicate of which stays outside.

    Raises:
        DataRefusal: no such cut leaves every class on both sides.
    """
    inside = frame[training].sort_values("id", kind="stable")
    groups = connect(inside["slide"], inside["twins"])
    labels = inside["label"].to_numpy(dtype=np.int64)
    classes = frame["label"].nunique()
    held_out = deal(groups, labels, [fraction, 1 - fraction], seed) == 0
    if not _both_sides_hold(labels, held_out, classes):
        held_out = nearest_cut(groups, labels, fraction)
    if not _both_sides_hold(labels, held_out, classes):
        raise DataRefusal(
            f"An inner split of {fraction:.0%} cannot be cut from {len(inside):,} training patches in "
            f"{groups.max() + 1:,} groups: one side would lack a class.",
            "every class on both sides, with every slide on one side",
            "--set training.inner_fraction=0.3 (or more), or a recipe of fixed length: --set training.selection=last, "
            "no training.stop_patience, no plateau.",
        )
    chosen: npt.NDArray[np.bool_] = frame["id"].isin(inside["id"][held_out]).to_numpy(dtype=bool)
    return training & chosen


def _both_sides_hold(labels: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_], classes: int) -> bool:
    return len(set(labels[chosen])) == classes == len(set(labels[~chosen]))


def nearest_cut(
    groups: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], fraction: float
) -> npt.NDArray[np.bool_]:
    """Of all sets of few groups the one nearest to `fraction` of the rows with every class inside and outside.

    The greedy deal looks at one order of the groups; where they are few and large, it may miss what there is.

    Args:
        groups: int64 (n,), numbers 0, 1, ... without gaps; `labels`: int64 (n,).

    Returns:
        bool (n,); no row where there is no such set, or more than `MOST_GROUPS` groups to try.
    """
    counts = np.stack([np.bincount(groups, labels == label) for label in np.unique(labels)], axis=1)
    if len(counts) > MOST_GROUPS:
        return np.zeros(len(groups), dtype=bool)
    sets = (np.arange(2 ** len(counts))[:, None] >> np.arange(len(counts))) & 1
    inside = sets @ counts
    whole = ((inside > 0) & (inside < counts.sum(axis=0))).all(axis=1)
    distance = np.where(whole, abs(inside.sum(axis=1) / len(groups) - fraction), np.inf)
    best = int(distance.argmin())
    return np.asarray(whole[best] & (sets[best][groups] == 1))


def write_folds(path: Path, folds: pd.DataFrame) -> None:
    """Write id,label,slide,fold atomically.

    Raises:
        ArtifactRefusal: an id stands in it more than once, or the folds are not 0, 1, ... without a gap.
    """
    _check_split(path, folds)
    write_csv(path, folds[COLUMNS])


def read_folds(path: Path, train: pd.DataFrame) -> pd.DataFrame:
    """Read a split and check that it is whole and made for `train` (id, label).

    Returns:
        id (str), label (int64), slide (str), fold (int64), sorted by id.

    Raises:
        ArtifactRefusal: the file is damaged or belongs to other ids or labels.
    """
    try:
        folds = pd.read_csv(path, dtype=str, keep_default_na=False)
        folds = folds[COLUMNS].astype({"label": "int64", "fold": "int64"})
    except (OSError, ValueError, KeyError) as error:
        raise _unfit(path, f"it cannot be read as id,label,slide,fold: {error}") from error
    _check_split(path, folds)
    missing = sorted(set(train["id"]) - set(folds["id"]))
    extra = sorted(set(folds["id"]) - set(train["id"]))
    if missing or extra:
        raise _unfit(
            path,
            f"{len(missing):,} training ids are not in it ({some(missing)}), "
            f"{len(extra):,} of its ids are not in training ({some(extra)})",
        )
    labels = folds["id"].map(train.set_index("id")["label"])
    other = list(folds["id"][labels != folds["label"]])
    if other:
        raise _unfit(path, f"the labels of {len(other):,} ids have changed: {some(other)}")
    return folds.sort_values("id", kind="stable").reset_index(drop=True)


def _check_split(path: Path, folds: pd.DataFrame) -> None:
    repeated = sorted(set(folds["id"][folds["id"].duplicated()]))
    if repeated:
        raise _unfit(path, f"{len(repeated):,} ids stand in it more than once: {some(repeated)}")
    numbers = sorted(set(folds["fold"]))
    if numbers != list(range(len(numbers))) or len(numbers) < 2:
        raise _unfit(path, f"its folds are {some(numbers)} in place of 0, 1, ... without a gap")
    spread = folds.groupby("slide")["fold"].nunique()
    torn = sorted(spread.index[spread > 1])
    if torn:
        raise _unfit(path, f"{len(torn):,} slides lie in more than one fold: {some(torn)}")


def _check_classes(frame: pd.DataFrame, count: int) -> None:
    classes = frame.groupby("fold")["label"].nunique().reindex(range(count), fill_value=0)
    poor = list(classes.index[classes < frame["label"].nunique()])
    if poor:
        raise DataRefusal(
            f"With {count} folds, fold {some(poor)} would lack a class "
            f"({len(frame):,} patches, {frame['slide'].nunique():,} slides).",
            "every class in every fold, with every slide in one fold",
            "ask for fewer folds.",
        )


def _too_few_groups(groups: int, slides: int, count: int) -> DataRefusal:
    joined = "" if groups == slides else f" ({slides:,} slides, joined where they share duplicates)"
    remedies = (
        "--set data.near_duplicates=keep (where pictures resemble each other without being copies), "
        if joined
        else ""
    )
    fewer = f"--set folds.count={groups}, " if groups > 1 else ""
    return DataRefusal(
        f"{count} folds were asked for; the patches fall into {groups:,} that may be parted{joined}.",
        "at least as many groups as folds",
        f"choose what fits: {fewer}{remedies}or --set folds.slides=none for pictures that come from no slides.",
    )


def _unfit(path: Path, reason: str) -> ArtifactRefusal:
    return ArtifactRefusal(
        f"{path} does not fit: {reason}.",
        "the split these experiments were started with",
        "restore it, or start in a new output folder (--output).",
    )
