"""Which pictures the networks have learned: told by pixels where the pixel cache is there, else by names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from histoblend.data.decode import pixel_hash
from histoblend.data.fitting import Fitting
from histoblend.data.pack_files import read_pack
from histoblend.data.pictures import UInt8Array
from histoblend.errors import ArtifactRefusal
from histoblend.workspace import Workspace, read_json

MOST_PIXELS = 2**24
"""Of a picture that is compared: a slide is no patch of the training, and to fit it would take its memory twice."""


@dataclass(frozen=True)
class Learned:
    """The training patches of an output folder.

    Attributes:
        by_pixels: id by pixel hash; None where there is no pixel cache to tell.
        by_name: id by the name of its file without suffix. Beside `by_pixels` of whole ids only, such as HCD's:
            of ``train/Car/1`` the last part says little.
        fitting: how a picture is brought to the patch that was hashed.
    """

    by_pixels: Mapping[str, str] | None
    by_name: Mapping[str, str]
    fitting: Fitting

    def how(self, path: Path, image: UInt8Array) -> str:
        """By what the picture uint8 (h, w, 3) of this file shows to be a training patch; empty where by nothing."""
        if same := self._same_pixels(image):
            return f"pixels of {same}"
        namesake = self.by_name.get(path.stem)
        return f"name of {namesake}" if namesake else ""

    def _same_pixels(self, image: UInt8Array) -> str | None:
        if not self.by_pixels or image.shape[0] * image.shape[1] > MOST_PIXELS:
            return None
        return self.by_pixels.get(pixel_hash(self.fitting.apply(image)))


def learned_patches(workspace: Workspace, scratch: Path, fitting: Fitting) -> Learned:
    """What the networks of `workspace` have learned: the patches of its folds, their pixels as packed in `scratch`."""
    if not (workspace.folds.exists() and workspace.folds_record.exists()):
        return Learned(None, {}, fitting)
    ids = pd.read_csv(workspace.folds, dtype=str, keep_default_na=False, usecols=["id"])["id"]
    fingerprint = str(read_json(workspace.folds_record)["settings"].get("data"))
    try:
        packed = read_pack(scratch / fingerprint, fitting.side)[0]
    except ArtifactRefusal:  # gone or damaged: names are left, and the user is told so
        return Learned(None, {one.rpartition("/")[2]: one for one in reversed(list(ids))}, fitting)
    kept = packed[packed["id"].isin(ids)]
    by_pixels = dict(zip(kept["pixel_hash"], kept["id"], strict=True))
    return Learned(by_pixels, {one: one for one in ids if "/" not in one}, fitting)
