"""The pack looked through for what the data settings act on; what takes long is kept beside the pack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoblend.config import DataSettings
from histoblend.data import duplicates, near_candidates, near_duplicates, perceptual_hash
from histoblend.data.blank import blank_kinds
from histoblend.data.duplicates import NearGroups, near_groups
from histoblend.data.handling import DataFindings, needed
from histoblend.data.near_duplicates import near_pairs
from histoblend.data.outliers import OUTLYING, colour_distances
from histoblend.data.pack import Pack
from histoblend.data.stain import stain_statistics_of
from histoblend.workspace import atomic_write, file_hash, fingerprint

Progress = Callable[[int, int], None]
NEAR_METHOD = (duplicates, near_candidates, near_duplicates, perceptual_hash)
"""All the code that decides who is a near duplicate: when any of it changes, groups kept before count no more."""


def screened(pack: Pack, settings: DataSettings, progress: Progress | None = None) -> DataFindings:
    """What `settings` need to know of the training patches; what they keep anyway is not looked for.

    Args:
        progress: told how many patches of how many were compared, where near duplicates are looked for.
    """
    wanted, images = needed(settings), pack.train_images()
    outliers = "stain_outliers" in wanted
    blank = blank_kinds(images) if outliers or "blank" in wanted else None
    return DataFindings(
        odd_files=pack.odd_files,
        blank=blank,
        near=kept_near_groups(pack, progress) if "near" in wanted else None,
        stain_outliers=_outlying(images, blank) if outliers and blank is not None else None,
    )


def kept_near_groups(pack: Pack, progress: Progress | None = None) -> NearGroups:
    """The near duplicates among the training patches; exact copies share the group of the picture they repeat."""
    path = pack.folder / f"train.near-{near_method_version()}.npy"
    if not path.exists():
        found = _near_groups_of_pictures(pack, progress)
        with atomic_write(path) as temporary:
            np.save(temporary, np.stack([found.number, found.parted.astype(np.int64)]))
    number, parted = np.load(path)
    return NearGroups(np.asarray(number, np.int64), parted.astype(bool))


def near_method_version() -> str:
    """Twelve hex digits of the code of the method."""
    return fingerprint([file_hash(Path(str(module.__file__))) for module in NEAR_METHOD])


def _near_groups_of_pictures(pack: Pack, progress: Progress | None) -> NearGroups:
    """Each picture is compared once, by the first patch that shows it, and the rest of its patches follow that one."""
    picture, _ = pd.factorize(pack.train["pixel_hash"])
    first = np.flatnonzero(~pack.train["pixel_hash"].duplicated())  # of picture 0, 1, ...
    pairs = near_pairs(pack.train_images(), first, progress)
    ends = {end: picture[pairs[end].to_numpy(np.intp)] for end in ("first", "second")}
    groups = near_groups(len(first), pairs.assign(**ends))
    return NearGroups(groups.number[picture], groups.parted[picture])


def _outlying(images: NDArray[np.uint8], blank: NDArray[np.object_]) -> NDArray[np.bool_]:
    statistics = stain_statistics_of(images, np.arange(len(images)))
    return colour_distances(statistics, np.asarray(blank == "")) > OUTLYING
