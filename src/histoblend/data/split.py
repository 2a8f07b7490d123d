"""The one split of a run: slides, folds, and the record that keeps them from changing unseen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from histoblend.competition.layouts import Competition
from histoblend.config import FoldSettings
from histoblend.data.folds import folds_fingerprint, make_folds, read_folds, write_folds
from histoblend.data.pack import Pack
from histoblend.data.slides import assign_slides
from histoblend.errors import ArtifactRefusal
from histoblend.workspace import Workspace, file_hash, read_json, write_json


@dataclass(frozen=True)
class Split:
    """The folds of a run.

    Attributes:
        folds: id, label, slide, fold, pixel_hash; row i describes row i of the pack's train array.
        policy: how slides were found: ``map``, ``stain-clusters`` or ``none``.
        sentence: the same for people.
    """

    folds: pd.DataFrame
    fingerprint: str
    policy: str
    sentence: str


def resolve_slide_map(competition: Competition, settings: FoldSettings) -> tuple[Path | None, str]:
    """The slide map the split will use, and a sentence about it."""
    if settings.slides in ("none", "stain-clusters"):
        return None, f"slides: {settings.slides}, as the plan says"
    path = settings.slide_map or competition.slide_map
    if path is None:
        return None, "slides: no map found (patch_id_wsi_full.csv), so pseudo-slides from stain"
    return path, f"slides: map {path}"


def make_split(workspace: Workspace, competition: Competition, pack: Pack, settings: FoldSettings) -> Split:
    """The split of this output folder, made at the first run and kept ever after.

    Raises:
        ArtifactRefusal: the folder holds a split of other data or other settings.
        DataRefusal: the data cannot be split so.
    """
    path, _ = resolve_slide_map(competition, settings)
    wanted: dict[str, Any] = {**settings.model_dump(mode="json"), "data": pack.fingerprint}
    # Known by its content, not by where it lies today.
    wanted["slide_map"] = file_hash(path) if path is not None and path.is_file() else None
    if workspace.folds.exists() and workspace.folds_record.exists():
        return _kept(workspace, pack, wanted)
    slides = assign_slides(pack.train, settings.slides, path, pack.train_images(), settings.seed)
    frame = pack.train.assign(slide=pack.train["id"].map(slides.slide))
    folds = make_folds(frame, settings.count, settings.seed)
    write_folds(workspace.folds, folds)
    found = {"policy": slides.policy, "sentence": slides.sentence}
    write_json(workspace.folds_record, {"settings": wanted, **found})
    return Split(_aligned(folds, pack), folds_fingerprint(folds), **found)


def _kept(workspace: Workspace, pack: Pack, wanted: dict[str, Any]) -> Split:
    record = read_json(workspace.folds_record)
    before = record["settings"]
    differences = [
        f"{key}: {before.get(key)} -> {wanted[key]}" for key in wanted if before.get(key) != wanted[key]
    ]
    if differences:
        raise ArtifactRefusal(
            f"{workspace.folds} was made for something else:\n  " + "\n  ".join(differences),
            "one split for all experiments of an output folder",
            "undo the change, or start in a new output folder (--output).",
        )
    folds = read_folds(workspace.folds, pack.train)
    return Split(_aligned(folds, pack), folds_fingerprint(folds), record["policy"], record["sentence"])


def _aligned(folds: pd.DataFrame, pack: Pack) -> pd.DataFrame:
    """Folds joined to the pack's rows by id."""
    joined = pack.train[["id", "pixel_hash"]].merge(folds, on="id", how="left", validate="one_to_one")
    return joined[["id", "label", "slide", "fold", "pixel_hash"]]
