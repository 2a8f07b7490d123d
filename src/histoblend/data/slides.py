"""Which slide a patch comes from: read from a map, guessed from the stain, or not known.

Patches of one slide look alike, so a split that ignores slides scores a model on what it has half seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from histoblend.competition.tables import read_table
from histoblend.data.stain import cluster_stains, stain_statistics_of
from histoblend.errors import DataRefusal, some

Policy = Literal["auto", "map", "stain-clusters", "none"]
FEWEST_CLUSTERS, MOST_CLUSTERS = 10, 200


@dataclass(frozen=True)
class Slides:
    """The slide of every training patch.

    Attributes:
        slide: str, indexed by id.
        policy: ``"map"``, ``"stain-clusters"`` or ``"none"``: what ``auto`` came to.
        sentence: what was done and why, for people.
    """

    slide: pd.Series
    policy: str
    sentence: str


def assign_slides(
    train: pd.DataFrame,
    policy: Policy,
    slide_map: Path | pd.Series | None,
    images: npt.NDArray[np.uint8],
    seed: int,
    clusters: int | None = None,
) -> Slides:
    """Assign a slide to every row of `train`.

    Args:
        train: id and more; its index counts the rows of `images`.
        slide_map: a CSV id,wsi, or the slides by id where the data's layout tells them.
        policy: ``map`` takes `slide_map`; ``stain-clusters`` makes pseudo-slides; ``none`` makes every patch
            a slide of its own; ``auto`` takes the map if there is one and pseudo-slides else.
        images: uint8 (rows, side, side, 3), all patches of the pack.
        clusters: number of pseudo-slides; as many as `default_clusters` says where it is None.

    Raises:
        DataRefusal: the map asked for is not there, is malformed, or covers only part of the ids.
    """
    if policy == "map" and slide_map is None:
        raise DataRefusal(
            "slides: map was asked for and no slide map was found.",
            "patch_id_wsi_full.csv (id,wsi) beside train_labels.csv, in a Kaggle mount or named as slide_map",
            "put it there, or choose slides: auto.",
        )
    if policy in ("map", "auto") and slide_map is not None:
        return _from_map(train["id"], slide_map)
    if policy == "none":
        slide = pd.Series(train["id"].to_numpy(), index=pd.Index(train["id"], name="id"), name="slide")
        return Slides(
            slide,
            "none",
            "Slides are ignored, as asked: where several patches come from one slide, scores read too high.",
        )
    return _from_stains(train["id"], images, seed, clusters)


def default_clusters(patches: int) -> int:
    """The number of pseudo-slides: two fifths of the square root of the number of patches, from 10 to 200.

    More of them are smaller than a slide, and folds cut through slides: on hcd-mini (2,622 patches) the
    out-of-fold AUC of `texture_hgb` is .910 with 20, .925 with 40 and .942 with random folds.
    """
    return min(patches, int(np.clip(round(0.4 * patches**0.5), FEWEST_CLUSTERS, MOST_CLUSTERS)))


def read_slide_map(path: Path) -> pd.Series:
    """The whole slide name (``normal_001`` and ``tumor_001`` are two slides) by id.

    Raises:
        DataRefusal: the file is malformed or gives one id two slides.
    """
    table = read_table(path, ("id", "wsi")).drop_duplicates()
    torn = sorted(set(table["id"][table["id"].duplicated()]))
    if torn:
        raise DataRefusal(
            f"{path} gives {len(torn):,} ids more than one slide: {some(torn)}.",
            "one slide per id",
            "correct these lines or use another map.",
        )
    return table.set_index("id")["wsi"].rename("slide")


def _from_map(ids: pd.Series, slide_map: Path | pd.Series) -> Slides:
    known = read_slide_map(slide_map) if isinstance(slide_map, Path) else slide_map.rename("slide")
    path = slide_map if isinstance(slide_map, Path) else "that comes with the data"
    missing = sorted(set(ids) - set(known.index))
    if missing:
        share = 1 - len(missing) / len(ids)
        raise DataRefusal(
            f"The slide map {path} covers {share:.1%} of the {len(ids):,} training ids; {len(missing):,} are "
            f"missing: {some(missing)}.",
            "a map of all training ids: patches left out would end up on both sides of a split",
            "use the full map, or choose slides: stain-clusters (or none) in the plan.",
        )
    slide = known.loc[list(ids)]
    return Slides(
        slide, "map", f"{slide.nunique():,} slides from the map {path}, which covers every training id."
    )


def _from_stains(ids: pd.Series, images: npt.NDArray[np.uint8], seed: int, clusters: int | None) -> Slides:
    count = clusters or default_clusters(len(ids))
    order = np.argsort(ids.to_numpy(dtype=object))  # clusters depend on row order, folds must not
    rows = ids.index.to_numpy()[order]
    found = cluster_stains(stain_statistics_of(images, rows), count, seed)
    index = pd.Index(ids.iloc[order], name="id")
    slide = pd.Series([f"stain_{cluster:03d}" for cluster in found], index=index, name="slide").loc[list(ids)]
    sentence = (
        f"{slide.nunique():,} pseudo-slides clustered from stain statistics, because no slide map was taken: "
        "scores may still read somewhat high."
    )
    return Slides(slide, "stain-clusters", sentence)
