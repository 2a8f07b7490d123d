"""The pixels of a few training patches: from the pixel cache where it is there, else from the files themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from histoblend.artifacts.forms import RunNote
from histoblend.config import Plan
from histoblend.config_files import configs_folder
from histoblend.data.decode import UInt8Array, read_patches
from histoblend.data.fitting import Fitting
from histoblend.data.pack_files import open_images, read_pack
from histoblend.data.pictures import Unreadable
from histoblend.errors import DataRefusal, Refusal, some
from histoblend.preparation import Request, source_of
from histoblend.workspace import Workspace, scratch_folder


@dataclass(frozen=True)
class Pixels:
    """Where pixels come from.

    Attributes:
        take: ids of training patches -> uint8 (n, side, side, 3), in that order.
        source: where they lie, in words.
    """

    take: Callable[[Sequence[str]], UInt8Array]
    source: str


@dataclass(frozen=True)
class NoPixels:
    """Why there are none, in a sentence."""

    reason: str


def find_pixels(
    workspace: Workspace, run: RunNote, ids: pd.Series, data: Path | None, environment: Mapping[str, str]
) -> Pixels | NoPixels:
    """The pixels of the data `run` worked on.

    Args:
        ids: of the training patches that may be asked for.
        data: where the files are, if not where the run found them.

    Raises:
        Refusal: `data` was named, and holds no sound competition.
    """
    cached = scratch_folder(workspace, environment) / run.data.fingerprint
    if cached.is_dir():
        return _from_cache(cached, run.side)
    root = data or Path(run.data.root)
    if run.of_files and not root.exists():
        return NoPixels(
            f"The pixel cache {cached} is gone, and so is the data ({root}): there are no patches to show. "
            "Name the data with --data."
        )
    try:
        return _from_files(Plan.model_validate(run.plan), root, ids, environment)
    except ValidationError:
        return NoPixels(
            f"The pixel cache {cached} is gone, and the plan in run.json is of another version of histoblend, so the "
            "patches cannot be read as they were."
        )
    except Refusal as refusal:
        if data is not None:
            raise
        return NoPixels(f"The pixel cache {cached} is gone, and the data cannot be read: {refusal.found}")


def _from_cache(folder: Path, side: int) -> Pixels:
    train, _ = read_pack(folder, side)
    rows = dict(zip(train["id"], range(len(train)), strict=True))
    images = open_images(folder, "train")
    return Pixels(lambda ids: np.asarray(images[[rows[one] for one in ids]]), f"the pixel cache {folder}")


def _from_files(plan: Plan, root: Path, ids: pd.Series, environment: Mapping[str, str]) -> Pixels | NoPixels:
    request = Request(data=root if plan.data.source == "files" else None)
    source = source_of(plan, request, environment, configs_folder(environment).parent / "input")
    if source is None:
        return NoPixels(f"There is no data in {root}: there are no patches to show. Name it with --data.")
    train = source.competition.train.set_index("id")
    if absent := [one for one in ids if one not in train.index]:
        return NoPixels(
            f"The data in {root} lacks {some(absent)}: it is not what was trained on, so no patches are "
            "shown. Name the right one with --data."
        )
    fitting = Fitting(plan.data.side, plan.data.fit)

    def take(wanted: Sequence[str]) -> UInt8Array:
        try:
            return read_patches(train.loc[list(wanted)], fitting)
        except Unreadable as fault:
            raise DataRefusal(
                str(fault), "a sound picture file", "restore it, or name other data with --data."
            ) from fault

    return Pixels(take, f"{root}, by id: the pixel cache that would prove them unchanged is gone")
