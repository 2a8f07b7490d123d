"""The patches that the sides disagree on as one picture, and what stands below each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from histoblend.artifacts.pixels import NoPixels, find_pixels
from histoblend.comparing.sides import Side
from histoblend.competition.contract import labelled_centre
from histoblend.data.decode import UInt8Array
from histoblend.reporting.contact_sheet import contact_sheet, outline_centre, write_png
from histoblend.workspace import atomic_write

SHOWN = 16
COLUMNS = 4
WANTED_WIDTH = 220  # pixels that a picture takes on the sheet, so that its captions can be read


def write_gallery(
    path: Path, table: pd.DataFrame, sides: Sequence[Side], data: Path | None, environment: Mapping[str, str]
) -> str:
    """Write the first patches of `table` (see `disagreements`; not empty) as PNG, if their pixels are at hand.

    Returns:
        Where it is, or why there is none, in a sentence.

    Raises:
        Refusal: `data` was named and is not the data, or the picture cannot be written.
    """
    shown, first = table.head(SHOWN), sides[0]
    found = find_pixels(first.workspace, first.run, shown["id"], data, environment)
    if isinstance(found, NoPixels):
        return f"No picture was drawn. {found.reason}"
    classes = list(first.run.data.classes)
    images = [_outlined(image, classes) for image in found.take(list(shown["id"]))]
    captions = [caption(row, [side.name for side in sides], classes) for row in shown.to_dict("records")]
    title = f"{' / '.join(side.name for side in sides)}: farthest apart in rank{_mark(first)}"
    scale = max(1, WANTED_WIDTH // images[0].shape[1])
    sheet = contact_sheet(images, COLUMNS, captions, title, scale)
    with atomic_write(path) as temporary:
        write_png(temporary, sheet)
    return f"Picture: {path} (pixels from {found.source})"


def _mark(side: Side) -> str:
    return " (SYNTHETIC)" if side.run.data.synthetic else ""


def _outlined(image: UInt8Array, classes: Sequence[str]) -> UInt8Array:
    """With the square that the label is about, where the data has one."""
    centre = labelled_centre(classes, image.shape[0])
    return image if centre is None else outline_centre(image, centre)


def caption(row: Mapping[str, object], names: Sequence[str], classes: Sequence[str]) -> str:
    """Lines below a patch: label, slide and start of the id, then a rank a side; OpenCV's letters are ASCII only."""
    label = classes[int(str(row["label"]))]
    head = [f"{label}, {row['slide']}", str(row["id"])[:24]]
    ranks = [f"{float(str(row[f'rank of {name}'])):.3f} {name}" for name in names]
    return "\n".join(line.encode("ascii", "replace").decode() for line in (*head, *ranks))
