"""`histoblend predict`: pictures of any size in, probabilities out; a map for those larger than a patch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histoblend.config import Execution
from histoblend.config_files import configs_folder
from histoblend.data.fitting import Fitting
from histoblend.data.pictures import Picture, UInt8Array, Unreadable, picture_of, read_content
from histoblend.errors import ConfigRefusal, DataRefusal, some
from histoblend.execution.device import prepare_device
from histoblend.inference.answers import Answer, answer_of, answers_table, scores_of, tiles_table
from histoblend.inference.picture_files import MAP_SUFFIX, TILES_SUFFIX, Listed, PictureFile, list_pictures
from histoblend.inference.picture_logits import BATCH, InOnePass, PictureLogits, tile_by_tile
from histoblend.inference.tiles import Grid, default_stride
from histoblend.inference.trained import TrainedModel, load_trained
from histoblend.preparation import default_output
from histoblend.reporting.prediction_table import printed_answers, spoken_answer
from histoblend.reporting.probability_map import MapTitle, write_probability_map
from histoblend.reporting.progress import Display
from histoblend.reporting.time_left import TimeLeft
from histoblend.workspace import Workspace, read_json, write_csv

Count = Callable[[int, int], None]
BORDERS = (
    "In one pass a patch is surrounded by its neighbours, in training it was by zeros: probabilities are near those "
    "of tiles, not equal (on hcd-mini .03 to .09 apart on average, the AUC .000 to .021 lower)."
)


@dataclass(frozen=True)
class PredictRequest:
    """What the user typed.

    Attributes:
        pictures: files and folders.
        model: an experiment or a blend of the output folder.
        output: that folder; None for the default one.
        stride: pixels between tiles of larger pictures; None for the labelled centre of a patch.
        destination: a folder, or a file ending in .csv; None for predictions/<model> in the output folder.
        views: dihedral views averaged, 1, 4 or 8; None as the model's record says.
        dense: run the networks over larger pictures in one pass, instead of tile by tile.
        whole: every picture is one patch, whatever its size; None as the training pictures were.
    """

    pictures: tuple[Path, ...]
    model: str
    output: Path | None = None
    stride: int | None = None
    destination: Path | None = None
    views: int | None = None
    dense: bool = False
    whole: bool | None = None


@dataclass(frozen=True)
class Destination:
    """Where maps and tiles go, and the table; None where no table was asked for and one picture is all."""

    folder: Path
    table: Path | None


@dataclass(frozen=True)
class Manner:
    """How pictures are shown to the model.

    Attributes:
        fitting: how a picture that is one patch is brought to its side.
        whole: every picture is one patch, whatever its size.
        logits: of larger pictures.
        stride: between their tiles.
        words: how larger pictures are gone through, for people.
    """

    model: TrainedModel
    fitting: Fitting
    whole: bool
    logits: PictureLogits
    stride: int
    words: str

    def grid(self, height: int, width: int) -> Grid | None:
        """The tiles of a picture of this size; None where it is taken as one patch."""
        if self.whole or max(height, width) <= self.model.side:
            return None
        return Grid(height, width, self.model.side, self.stride)


def predict_pictures(
    request: PredictRequest, display: Display, environment: Mapping[str, str] = os.environ
) -> pd.DataFrame:
    """Predict what was named, say it, and write maps and table.

    Returns:
        The table of predictions, one row a picture.

    Raises:
        Refusal: no such model or pictures, or none of them can be read.
    """
    root = request.output or default_output(configs_folder(environment).parent, environment)
    workspace = Workspace(root.absolute())
    listed = list_pictures(request.pictures)
    destination = _destination(request, workspace, len(listed.pictures))
    prepare_device(Execution())
    model = load_trained(request.model, workspace, request.views)
    manner = _manner(request, model, workspace)
    _introduce(manner, listed, workspace, display)
    with display.counting("Predicting, in tiles") as count:
        answers = _predicted(listed.pictures, manner, destination.folder, TimeLeft(count, display.tell))
    return _concluded(answers, manner, destination, display)


def _destination(request: PredictRequest, workspace: Workspace, pictures: int) -> Destination:
    """Where results go: never among the pictures, unless that was asked for."""
    named = request.destination
    if named is None:
        folder = workspace.folder / "predictions" / request.model
        return Destination(folder, folder / "predictions.csv" if pictures > 1 else None)
    if named.suffix.lower() == ".csv":
        return Destination(named.with_name(f"{named.stem}-maps"), named)
    if named.is_file():
        raise ConfigRefusal(
            f"--to {named} is a file.", "a folder, or a name ending in .csv", "choose another one."
        )
    return Destination(named, named / "predictions.csv")


def _manner(request: PredictRequest, model: TrainedModel, workspace: Workspace) -> Manner:
    settings = read_json(workspace.folds_record)["settings"] if workspace.folds_record.exists() else {}
    fitting = Fitting(model.side, settings.get("data.fit", "resize"))
    whole = _trained_on_resized(workspace) if request.whole is None else request.whole
    if not request.dense:
        stride = request.stride or default_stride(model.side)
        return Manner(model, fitting, whole, tile_by_tile(model), stride, "tile by tile")
    in_one_pass = InOnePass(model)
    cell = in_one_pass.cell
    stride = request.stride or max(default_stride(model.side) // cell, 1) * cell
    return Manner(model, fitting, whole, in_one_pass, stride, "in one pass (--dense)")


def _trained_on_resized(workspace: Workspace) -> bool:
    """Whether most training pictures had another size than a patch: then a picture is one patch, whatever its size."""
    if not workspace.run_record.exists():
        return False
    data = read_json(workspace.run_record).get("data", {})
    patches = sum(data.get("classes", {}).values())
    return 2 * data.get("odd_files", {}).get("train", {}).get("other size", 0) > patches


def _introduce(manner: Manner, listed: Listed, workspace: Workspace, display: Display) -> None:
    model = manner.model
    if model.synthetic:
        display.warn(
            f"{model.name} was trained on SYNTHETIC patches: its probabilities say nothing about real tissue."
        )
    display.tell(f"Model: {_described(model)}.")
    for note in model.notes:
        display.warn(note)
    if listed.others:
        display.tell(f"Not looked at, by their suffix: {listed.others:,} other files.")
    learned = _named_like_training(listed, workspace)
    if learned:
        display.warn(
            f"{len(learned):,} of the pictures bear the name of a training patch ({some(learned, 3)}): networks that "
            "have learned them speak here. Their honest predictions stand in the model's oof.csv."
        )
    if isinstance(manner.logits, InOnePass):
        display.tell(BORDERS)
    if manner.stride > default_stride(model.side) and not manner.whole:
        display.tell(
            f"Stride {manner.stride} is wider than the labelled centre of a patch "
            f"({default_stride(model.side)} pixels): a cell stands for its middle only."
        )


def _described(model: TrainedModel) -> str:
    members = [
        f"{member.name}, {len(member.networks)} folds, {len(member.views)} views" for member in model.members
    ]
    alone = len(members) == 1 and model.members[0].name == model.name
    return members[0] if alone else f"{model.name}, the logit mean of {'; '.join(members)}"


def _named_like_training(listed: Listed, workspace: Workspace) -> list[str]:
    if not workspace.folds.exists():
        return []
    known = set(pd.read_csv(workspace.folds, dtype={"id": str}, usecols=["id"])["id"])
    return [one.name for one in listed.pictures if one.path.stem in known]


@dataclass(frozen=True)
class _Patch:
    """A picture that is one patch, waiting for its batch: its answer but for the probability, and its pixels."""

    answer: Answer
    pixels: UInt8Array


def _predicted(files: Sequence[PictureFile], manner: Manner, folder: Path, count: Count) -> list[Answer]:
    """One answer a file, in their order; pictures that are one patch are predicted many at a time."""
    answers: dict[str, Answer] = {}
    waiting: list[_Patch] = []
    expected = [_expected_tiles(file, manner) for file in files]
    done, total = 0, sum(expected)
    for file, tiles in zip(files, expected, strict=True):
        met = _met(file, manner, folder, _shifted(count, done, total))
        if isinstance(met, Answer):
            answers[met.picture] = met
        else:
            waiting.append(met)
        if len(waiting) == BATCH:
            answers |= _patch_answers(waiting, manner.model)
            waiting = []
        done += tiles
        count(done, total)
    answers |= _patch_answers(waiting, manner.model)
    return [answers[file.name] for file in files]


def _expected_tiles(file: PictureFile, manner: Manner) -> int:
    """Tiles of a picture by its header; 1 where that tells nothing, which reading it will."""
    try:
        with Image.open(file.path) as opened:
            grid = manner.grid(opened.height, opened.width)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 1
    return 1 if grid is None else grid.count


def _shifted(count: Count, before: int, total: int) -> Count:
    """A counter of one picture's tiles that counts on from those before it."""
    return lambda done, _: count(before + done, total)


def _met(file: PictureFile, manner: Manner, folder: Path, count: Count) -> Answer | _Patch:
    """The answer to a larger picture or to one that cannot be read; a patch to be predicted with others."""
    try:
        picture = picture_of(read_content(file.path), file.path.suffix)
    except Unreadable as fault:
        return Answer(file.name, fault=str(fault))
    height, width = picture.image.shape[:2]
    grid = manner.grid(height, width)
    note = _note(picture, manner if grid is None else None)
    if grid is None:
        return _Patch(Answer(file.name, width, height, 1, note=note), manner.fitting.apply(picture.image))
    return replace(_mapped(file, picture.image, grid, manner, folder, count), note=note)


def _note(picture: Picture, manner: Manner | None) -> str:
    """What was odd about the file, and how it was brought to a patch (where `manner` is given)."""
    parts = [f"{kind}: {detail}" for kind, detail in picture.odd.items()]
    if manner is not None and not manner.fitting.fits(picture.image):
        how = "its centre square resized" if manner.fitting.fit == "resize" else "its centre cut out"
        parts.append(f"brought to {manner.model.side} x {manner.model.side}: {how}")
    return "; ".join(parts)


def _patch_answers(patches: Sequence[_Patch], model: TrainedModel) -> dict[str, Answer]:
    if not patches:
        return {}
    logits = model.logits(np.stack([patch.pixels for patch in patches]))
    answers = {}
    for patch, one in zip(patches, logits, strict=True):
        known = patch.answer
        told = answer_of(
            known.picture, (known.height, known.width), scores_of(one[None], model.classes), None
        )
        answers[known.picture] = replace(told, note=known.note)
    return answers


def _mapped(
    file: PictureFile, image: UInt8Array, grid: Grid, manner: Manner, folder: Path, count: Count
) -> Answer:
    """The answer to a larger picture, its map and its tiles written."""
    scores = scores_of(manner.logits(image, grid, count), manner.model.classes)
    place = folder / file.place
    path = place.with_name(place.name + MAP_SUFFIX)
    title = MapTitle(file.name, scores.name, f"{manner.model.name}, {manner.words}", manner.model.synthetic)
    write_probability_map(path, image, scores.values.reshape(grid.rows, grid.columns), grid, title)
    write_csv(place.with_name(place.name + TILES_SUFFIX), tiles_table(scores, grid))
    return replace(answer_of(file.name, image.shape[:2], scores, grid), map=str(path))


def _concluded(
    answers: Sequence[Answer], manner: Manner, destination: Destination, display: Display
) -> pd.DataFrame:
    """Say and write what was found.

    Raises:
        DataRefusal: none of the pictures could be read.
    """
    faults = [f"{answer.picture} ({answer.fault})" for answer in answers if answer.fault]
    if len(faults) == len(answers):
        raise DataRefusal(
            f"None of the {len(answers):,} pictures could be read: {some(faults)}.",
            "sound picture files (JPEG, PNG, TIFF, BMP, GIF, WebP)",
            "open one in a viewer; fetch or export them again.",
        )
    table = answers_table(answers)
    if destination.table is not None:
        write_csv(destination.table, table)
    if len(answers) == 1:
        display.tell(spoken_answer(answers[0]))
    else:
        display.show(printed_answers(answers, f"Probabilities by {manner.model.name}"))
    if faults:
        display.warn(f"{len(faults):,} of {len(answers):,} pictures could not be read: {some(faults)}.")
    _tell_places(answers, destination, display)
    return table


def _tell_places(answers: Sequence[Answer], destination: Destination, display: Display) -> None:
    maps = [answer.map for answer in answers if answer.map]
    if maps:
        where = maps[0] if len(maps) == 1 else f"{len(maps):,} in {destination.folder}"
        display.tell(f"Map: {where} (beside it the tiles as CSV).")
    if destination.table is not None:
        display.tell(f"Table: {destination.table}")
