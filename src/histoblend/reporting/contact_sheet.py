"""Contact sheets: a grid of patches as one picture, to look at data and at augmentations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from histoblend.data.augmentations import Augmenter
from histoblend.data.stain import UInt8Array
from histoblend.errors import MachineRefusal

GAP = 4  # pixels between pictures and around the grid
LINE = 16  # height of a line of text, pixels
TITLE = 24  # height of the title, pixels
INK = (30, 30, 30)
OUTLINE = (0, 120, 0)  # green: the one hue that neither stain has


def contact_sheet(
    images: UInt8Array | Sequence[UInt8Array],
    columns: int,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    scale: int = 2,
) -> UInt8Array:
    """The images in rows of `columns`, enlarged `scale` times, a caption under each and a title above.

    Args:
        images: uint8 RGB, all of one shape (height, width, 3); at least one.
        columns: images a row, at least 1.
        captions: one per image, of one or more lines; a line too wide for its image is cut.
        title: one line, cut at the sheet's width.
        scale: whole factor of enlargement, nearest neighbour: the pixels stay as they are.

    Returns:
        uint8 RGB (height, width, 3), white between the pictures.
    """
    tiles = [_tile(image, scale) for image in images]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    top = GAP + (TITLE if title else 0)
    lines = max((caption.count("\n") + 1 for caption in captions or ()), default=0)
    pitch = height + GAP + lines * LINE, width + GAP
    sheet = np.full((top + rows * pitch[0], GAP + columns * pitch[1], 3), 255, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        row, column = top + place // columns * pitch[0], GAP + place % columns * pitch[1]
        sheet[row : row + height, column : column + width] = tile
        for line, text in enumerate(captions[place].split("\n") if captions is not None else ()):
            below = row + height + line * LINE
            sheet[below : below + LINE, column : column + width] = _text(text, width, LINE)
    if title:
        sheet[GAP : GAP + TITLE, GAP:] = _text(title, sheet.shape[1] - GAP, TITLE)
    return sheet


def augmentation_sheet(
    originals: UInt8Array, augmenter: Augmenter, variants: int = 8, seed: int = 0, title: str | None = None
) -> UInt8Array:
    """One row an original: the original with its labelled centre outlined, then its augmentations.

    Args:
        originals: uint8 (n, height, width, 3).
        augmenter: its `centre` is the side of the square that is outlined.
        variants: augmentations of each original.
        seed: decides the sheet.
        title: one line above.
    """
    batches = [augmenter.augment_batch(originals, seed + variant) for variant in range(variants)]
    tiles = [
        tile
        for place, original in enumerate(originals)
        for tile in (outline_centre(original, augmenter.centre), *(batch[place] for batch in batches))
    ]
    captions = ["original", *(f"variant {variant + 1}" for variant in range(variants))] * len(originals)
    return contact_sheet(tiles, variants + 1, captions, title)


def outline_centre(image: UInt8Array, centre: int = 32) -> UInt8Array:
    """A copy of uint8 (height, width, 3) with a green line drawn just outside the centre square."""
    outlined = image.copy()
    top, left = (image.shape[0] - centre) // 2, (image.shape[1] - centre) // 2
    cv2.rectangle(outlined, (left - 1, top - 1), (left + centre, top + centre), OUTLINE, 1)
    return outlined


def write_png(path: Path | str, image: UInt8Array) -> None:
    """Write uint8 RGB (height, width, 3) as PNG.

    Raises:
        MachineRefusal: the file cannot be written.
    """
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    try:
        Path(path).write_bytes(encoded.tobytes())
    except OSError as error:
        raise MachineRefusal(
            f"The picture {path} cannot be written: {error}", "a writable folder", "choose another path"
        ) from error


def _tile(image: UInt8Array, scale: int) -> UInt8Array:
    return np.repeat(np.repeat(image, scale, axis=0), scale, axis=1)


def _text(text: str, width: int, height: int) -> UInt8Array:
    """A white band uint8 (height, width, 3) with `text` in it; OpenCV's letters are ASCII only."""
    band = np.full((height, width, 3), 255, dtype=np.uint8)
    size = height / 40
    cv2.putText(band, text, (0, height - height // 3), cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
    return band
