"""The pack looked through for what the data settings act on; what takes long is kept beside the pack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoblend.config import DataSettings
from histoblend.data import duplicates
from histoblend.data.blank import blank_kinds
from histoblend.data.duplicates import near_duplicate_groups
from histoblend.data.handling import DataFindings, needed
from histoblend.data.outliers import OUTLYING, colour_distances
from histoblend.data.pack import Pack
from histoblend.data.stain import stain_statistics
from histoblend.workspace import atomic_write, file_hash

Progress = Callable[[int, int], None]
IMAGES_AT_A_TIME = 256


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


def kept_near_groups(pack: Pack, progress: Progress | None = None) -> NDArray[np.int64]:
    """Group number int64 (n,) of each training patch, one for all near duplicates; exact copies stand alone."""
    version = file_hash(Path(duplicates.__file__))  # a change of the code must not meet old groups
    path = pack.folder / f"train.near-{version}.npy"
    if not path.exists():
        first = np.flatnonzero(~pack.train["pixel_hash"].duplicated())  # exact copies are known already
        groups = near_duplicate_groups(pack.train_images(), first, progress)
        with atomic_write(path) as temporary:
            np.save(temporary, groups)
    return np.asarray(np.load(path), np.int64)


def _outlying(images: NDArray[np.uint8], blank: NDArray[np.object_]) -> NDArray[np.bool_]:
    starts = range(0, len(images), IMAGES_AT_A_TIME)
    statistics = [stain_statistics(images[start : start + IMAGES_AT_A_TIME]) for start in starts]
    return colour_distances(np.concatenate(statistics), np.asarray(blank == "")) > OUTLYING
