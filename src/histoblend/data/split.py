"""The one split of a run: odd patches handled, slides, folds, and the record that keeps them from changing unseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from histoblend.competition.layouts import Competition
from histoblend.config import DataSettings, FoldSettings
from histoblend.data.folds import folds_fingerprint, make_folds, read_folds, write_folds
from histoblend.data.handling import Handled, handle
from histoblend.data.pack import Pack
from histoblend.data.screening import screened
from histoblend.data.slides import assign_slides
from histoblend.errors import ArtifactRefusal, some
from histoblend.workspace import Workspace, file_hash, fingerprint, read_json, write_csv, write_json

Progress = Callable[[int, int], None]
NOT_DROPPED = ""


@dataclass(frozen=True)
class SplitSettings:
    """What decides a split: how slides and folds are made, and what is done with odd patches."""

    folds: FoldSettings
    data: DataSettings


@dataclass(frozen=True)
class Split:
    """The folds of a run.

    Attributes:
        folds: id, label, slide, fold, twins (equal for patches that belong together) of the patches kept; its
            index counts the rows of the pack's train array.
        dropped: id, reason of the patches that were taken out.
        policy: how slides were found: ``map``, ``stain-clusters`` or ``none``.
        sentence: the same for people.
        handling: what was done with odd patches, for people.
    """

    folds: pd.DataFrame
    dropped: pd.DataFrame
    fingerprint: str
    policy: str
    sentence: str
    handling: tuple[str, ...]


def resolve_slide_map(
    competition: Competition, settings: FoldSettings
) -> tuple[Path | pd.Series | None, str]:
    """The slides the split will use, a map's path or what the layout tells, and a sentence about it."""
    if settings.slides in ("none", "stain-clusters"):
        return None, f"slides: {settings.slides}, as the plan says"
    path = settings.slide_map or competition.slide_map
    if path is not None:
        return path, f"slides: map {path}"
    if competition.slides is not None:
        return competition.slides, "slides: as the data's own table tells"
    return None, "slides: no map found (patch_id_wsi_full.csv), so pseudo-slides from stain"


def make_split(
    workspace: Workspace,
    competition: Competition,
    pack: Pack,
    settings: SplitSettings,
    progress: Progress | None = None,
) -> Split:
    """The split of this output folder, made at the first run and kept ever after.

    Raises:
        ArtifactRefusal: the folder holds a split of other data or other settings.
        DataRefusal: the data cannot be split so, or holds what the settings say to stop at.
    """
    slide_map, _ = resolve_slide_map(competition, settings.folds)
    wanted = _identity(slide_map, pack.fingerprint, settings)
    if workspace.folds.exists() and workspace.folds_record.exists():
        return _kept(workspace, pack, wanted)
    handled = handle(pack.train, screened(pack, settings.data, progress), settings.data)
    images, policy, seed = pack.train_images(), settings.folds.slides, settings.folds.seed
    slides = assign_slides(handled.kept, policy, slide_map, images, seed)
    frame = handled.kept.assign(slide=handled.kept["id"].map(slides.slide))
    folds = make_folds(frame, settings.folds.count, seed)
    patches = _patches_table(handled, pack)
    write_csv(workspace.patches, patches)
    write_folds(workspace.folds, folds)
    sentences = [*_unread_sentence(pack), *handled.sentences]
    if len(handled.kept) < len(pack.train) + len(pack.unreadable):
        sentences.append(_what_is_left(handled.kept, competition.classes))
    found = {"policy": slides.policy, "sentence": slides.sentence, "handling": sentences}
    write_json(workspace.folds_record, {"settings": wanted, **found})
    return _split(folds, patches, pack, found)


def check_split(
    workspace: Workspace, competition: Competition, data: str | None, settings: SplitSettings
) -> None:
    """Refuse a split that is there and was made otherwise; without the data's fingerprint by settings alone.

    Raises:
        ArtifactRefusal: it was.
    """
    if not (workspace.folds.exists() and workspace.folds_record.exists()):
        return
    slide_map, _ = resolve_slide_map(competition, settings.folds)
    wanted = _identity(slide_map, data, settings)
    _refuse_differences(workspace, read_json(workspace.folds_record)["settings"], wanted)
    if data is None:  # not decoded yet: by ids and labels at least
        patches = _read_patches(workspace.patches, set(competition.train["id"]))
        kept = patches["id"][patches["dropped"] == NOT_DROPPED]
        read_folds(workspace.folds, competition.train[competition.train["id"].isin(kept)])


def _identity(
    slide_map: Path | pd.Series | None, data: str | None, settings: SplitSettings
) -> dict[str, Any]:
    """What decides the split, as plain data; a slide map is known by its content, not by where it lies today."""
    wanted: dict[str, Any] = {**settings.folds.model_dump(mode="json"), "data": data}
    wanted["slide_map"] = None
    if isinstance(slide_map, pd.Series):
        wanted["slide_map"] = fingerprint(slide_map.sort_index().to_dict())
    elif slide_map is not None and slide_map.is_file():
        wanted["slide_map"] = file_hash(slide_map)
    handling = settings.data.model_dump(mode="json")
    return wanted | {f"data.{key}": value for key, value in handling.items()}


def _unread_sentence(pack: Pack) -> list[str]:
    ids = list(pack.unreadable["id"])
    return (
        [f"{len(ids):,} training files unreadable: dropped (data.unreadable=drop): {some(ids)}"]
        if ids
        else []
    )


def _what_is_left(kept: pd.DataFrame, classes: tuple[str, ...]) -> str:
    counts = kept["label"].value_counts().reindex(range(len(classes)), fill_value=0)
    each = ", ".join(f"{name} {counts[label]:,}" for label, name in enumerate(classes))
    return f"{len(kept):,} training patches are left: {each}."


def _patches_table(handled: Handled, pack: Pack) -> pd.DataFrame:
    """id,twins,dropped of every training patch, sorted by id; `dropped` is the reason or empty."""
    kept = handled.kept[["id", "twins"]].assign(dropped=NOT_DROPPED)
    dropped = handled.dropped.rename(columns={"reason": "dropped"}).assign(twins="")
    unread = pack.unreadable[["id"]].assign(twins="", dropped="unreadable: " + pack.unreadable["detail"])
    table = pd.concat([kept, dropped[["id", "twins", "dropped"]], unread])
    return table.sort_values("id", ignore_index=True)


def _refuse_differences(workspace: Workspace, before: dict[str, Any], wanted: dict[str, Any]) -> None:
    differences = [
        f"{key}: {before.get(key)} -> {value}"
        for key, value in wanted.items()
        if before.get(key) != value and (key, value) != ("data", None)
    ]
    if differences:
        raise ArtifactRefusal(
            f"{workspace.folds} was made for something else:\n  " + "\n  ".join(differences),
            "one split for all experiments of an output folder",
            "undo the change, or start in a new output folder (--output).",
        )


def _kept(workspace: Workspace, pack: Pack, wanted: dict[str, Any]) -> Split:
    record = read_json(workspace.folds_record)
    _refuse_differences(workspace, record["settings"], wanted)
    patches = _read_patches(workspace.patches, {*pack.train["id"], *pack.unreadable["id"]})
    kept = pack.train[pack.train["id"].isin(patches["id"][patches["dropped"] == NOT_DROPPED])]
    found = {key: record[key] for key in ("policy", "sentence", "handling")}
    return _split(read_folds(workspace.folds, kept), patches, pack, found)


def _read_patches(path: Path, ids: set[str]) -> pd.DataFrame:
    try:
        patches = pd.read_csv(path, dtype=str, keep_default_na=False)
        whole = list(patches.columns) == ["id", "twins", "dropped"] and set(patches["id"]) == ids
    except (OSError, ValueError):
        whole = False
    if not whole or patches["id"].duplicated().any():
        raise ArtifactRefusal(
            f"{path} does not fit: it is not id,twins,dropped of every training patch.",
            "the table these folds were made with",
            "restore it, or start in a new output folder (--output).",
        )
    return patches


def _split(folds: pd.DataFrame, patches: pd.DataFrame, pack: Pack, found: dict[str, Any]) -> Split:
    """Folds and twins joined to the pack's rows by id; what was dropped is in neither."""
    rows = pack.train[["id"]].reset_index().merge(folds, on="id", validate="one_to_one")
    rows = rows.merge(patches[["id", "twins"]], on="id", validate="one_to_one").set_index("index")
    dropped = patches[patches["dropped"] != NOT_DROPPED].rename(columns={"dropped": "reason"})
    assert len(rows) + len(dropped) == len(pack.train) + len(pack.unreadable)
    return Split(
        folds=rows.rename_axis(None)[["id", "label", "slide", "fold", "twins"]],
        dropped=dropped[["id", "reason"]].reset_index(drop=True),
        fingerprint=folds_fingerprint(folds),
        policy=found["policy"],
        sentence=found["sentence"],
        handling=tuple(found["handling"]),
    )
