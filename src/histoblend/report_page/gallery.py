"""Which patches are worth looking at, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from histoblend.audit.report import short_id
from histoblend.data.decode import UInt8Array
from histoblend.inference.predict import probabilities
from histoblend.inference.tables import table_logits
from histoblend.report_page.blocks import GalleryBlock, Picture
from histoblend.report_page.wording import listed, share
from histoblend.reporting.contact_sheet import outline_centre

SMALLEST, LARGEST = (
    96,
    128,
)  # pixels of a shown patch: smaller ones are enlarged by whole factors, larger ones shrunk
COLOURS = "viridis"  # equal steps look equal, in print and to colour-blind eyes
MOST_SURE = 0.999  # shown: 100 % reads as more than there is
CLEAR, COVERED = 0.1, 0.65  # opacity of a map over its patch at 0 and 1


@dataclass(frozen=True)
class Chosen:
    """Patches of one gallery: id, label, fold, slide, said (class), sure (its probability)."""

    caption: str
    rows: pd.DataFrame


def judged(table: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """What was said of each patch of an out-of-fold table.

    Returns:
        id, label, fold, slide, said (class of the highest probability), sure (its probability), right (that of the
        patch's own class), in the order of the table.
    """
    given = probabilities(table_logits(table))
    wide = np.hstack([1 - given, given]) if given.shape[1] == 1 else given
    said = wide.argmax(axis=1)
    rows = table[["id", "label", "fold"]].assign(
        said=said, sure=wide.max(axis=1), right=wide[np.arange(len(wide)), table["label"]]
    )
    return rows.merge(folds[["id", "slide"]], on="id", validate="one_to_one")


def confidently_wrong(rows: pd.DataFrame, classes: Sequence[str], count: int) -> list[Chosen]:
    """The patches of `judged` that were called wrong most confidently; of two classes a gallery for each."""
    wrong = rows[rows["said"] != rows["label"]].sort_values(["right", "id"])
    if len(classes) > 2:
        groups = {"Most confidently wrong": wrong}
    else:
        titles = (
            f"Called {classes[1]} with confidence, labelled {classes[0]}",
            f"Labelled {classes[1]}, missed",
        )
        groups = {title: wrong[wrong["label"] == label] for label, title in enumerate(titles)}
    return [
        Chosen(f"{title}: the first {min(count, len(group)):,} of {len(group):,}.", group.head(count))
        for title, group in groups.items()
        if len(group)
    ]


def hard_for_all(
    everyone: Mapping[str, pd.DataFrame], lead: pd.DataFrame, shown: set[str], count: int
) -> list[Chosen]:
    """Patches that every one of several experiments calls wrong, the best of them most clearly; none is in `shown`.

    Args:
        everyone: `judged` by experiment, of the same patches.
        lead: `judged` of what the galleries are about, for the lines below.
    """
    if len(everyone) < 2:
        return []
    wrong = [rows.set_index("id").eval("said != label") for rows in everyone.values()]
    right = [rows.set_index("id")["right"] for rows in everyone.values()]
    best = pd.concat(right, axis=1).max(axis=1)[pd.concat(wrong, axis=1).all(axis=1)].sort_values()
    fresh = [name for name in best.index if name not in shown][:count]
    if not fresh:
        return []
    names = listed(list(everyone)) if len(everyone) < 4 else f"all {len(everyone)} experiments"
    caption = (
        f"Called wrong by {names} alike ({len(best):,} in all, those above left out): the hardest for "
        "everyone, or labels to be looked at again."
    )
    return [Chosen(caption, lead.set_index("id").loc[fresh].reset_index())]


def to_explain(rows: pd.DataFrame, each: int) -> pd.DataFrame:
    """Some patches that were called right and some that were called wrong, as surely as there are, of every class.

    Of the right ones those at the middle of the sureness: not only textbook cases.
    """
    parts = []
    for label in sorted(rows["label"].unique())[:4]:
        mine = rows[rows["label"] == label].sort_values(["right", "id"], ascending=False)
        right, wrong = mine[mine["said"] == label], mine[mine["said"] != label]
        middle = max(len(right) // 2 - each // 2, 0)
        parts += [right.iloc[middle : middle + each], wrong.iloc[::-1].head(each)]
    return pd.concat(parts, ignore_index=True)


def gallery(chosen: Chosen, images: UInt8Array, classes: Sequence[str], centre: int | None) -> GalleryBlock:
    """The patches of `chosen`, whose pixels are `images` in that order.

    Args:
        centre: side of the centre square to outline, in pixels of the images; None where the label is about all.
    """
    pictures = [
        picture(outlined(image, centre), row, classes)
        for image, row in zip(images, chosen.rows.to_dict("records"), strict=True)
    ]
    return GalleryBlock(chosen.caption, tuple(pictures))


def picture(
    image: UInt8Array, row: dict[str, object], classes: Sequence[str], shows: str = "Patch"
) -> Picture:
    """A patch with what it is and what was said of it."""
    label, said = classes[int(str(row["label"]))], classes[int(str(row["said"]))]
    sure = share(min(float(str(row["sure"])), MOST_SURE))
    mark = "right" if label == said else "wrong"
    lines = (
        f"is {label}",
        f"said {said}, {sure}" if mark == "wrong" else f"said so, {sure}",
        short_id(str(row["id"])),
        str(row["slide"]),
    )
    alternative = (
        f"{shows} {row['id']} of slide {row['slide']}: labelled {label}, called {said} at {sure}, {mark}."
    )
    return Picture(png(image), alternative, lines)


def overlaid(image: UInt8Array, shares: np.ndarray) -> UInt8Array:
    """The patch in grey under a map (side, side) of 0..1; where the map is low the patch shows through."""
    from matplotlib import colormaps

    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    colours = colormaps[COLOURS](shares)[..., :3] * 255
    opacity = (CLEAR + (COVERED - CLEAR) * shares)[..., None]
    return np.asarray(np.round(grey * (1 - opacity) + colours * opacity), np.uint8)


def outlined(image: UInt8Array, centre: int | None) -> UInt8Array:
    """The patch with its labelled centre outlined, if the label is about that."""
    return np.asarray(image if centre is None else outline_centre(np.ascontiguousarray(image), centre))


def png(image: UInt8Array) -> bytes:
    """PNG bytes of uint8 RGB (h, w, 3), brought to a size that is small in bytes and large enough to see."""
    side = max(image.shape[:2])
    if side > LARGEST:
        image = cv2.resize(image, (LARGEST, LARGEST), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    elif side < SMALLEST:
        factor = -(-SMALLEST // side)
        image = np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)[1].tobytes())
