"""One answer a picture file: patches predicted many at a time, larger pictures mapped one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from histoblend.data.pictures import Picture, UInt8Array, Unreadable, picture_of, read_content
from histoblend.inference.tiles import Grid
from histoblend.predicting.answers import Answer, answer_of, scores_of, tiles_table
from histoblend.predicting.learned import Learned
from histoblend.predicting.manner import Manner
from histoblend.predicting.picture_files import MAP_SUFFIX, TILES_SUFFIX, PictureFile
from histoblend.predicting.picture_logits import BATCH, Count
from histoblend.predicting.trained import TrainedModel
from histoblend.reporting.probability_map import MapTitle, write_probability_map
from histoblend.workspace import write_csv


@dataclass(frozen=True)
class _Patch:
    """A picture that is one patch, waiting for its batch: its answer but for the probability, and its pixels."""

    answer: Answer
    pixels: UInt8Array


def predicted(
    files: Sequence[PictureFile], manner: Manner, learned: Learned, folder: Path, count: Count
) -> list[Answer]:
    """One answer a file, in their order; pictures that are one patch are predicted many at a time."""
    answers: dict[str, Answer] = {}
    waiting: list[_Patch] = []
    expected = [_expected_tiles(file, manner) for file in files]
    done, total = 0, sum(expected)
    for file, tiles in zip(files, expected, strict=True):
        met = _met(file, manner, learned, folder, _shifted(count, done, total))
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


def _met(file: PictureFile, manner: Manner, learned: Learned, folder: Path, count: Count) -> Answer | _Patch:
    """The answer to a larger picture or to one that cannot be read; a patch to be predicted with others."""
    try:
        picture = picture_of(read_content(file.path), file.path.suffix)
    except Unreadable as fault:
        return Answer(file.name, fault=str(fault))
    height, width = picture.image.shape[:2]
    grid = manner.grid(height, width)
    note = _note(picture, manner if grid is None else None)
    how = learned.how(file.path, picture.image)
    if grid is None:
        known = Answer(file.name, width, height, 1, learned=how, note=note)
        return _Patch(known, manner.fitting.apply(picture.image))
    return replace(_mapped(file, picture.image, grid, manner, folder, count), learned=how, note=note)


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
        answers[known.picture] = replace(told, learned=known.learned, note=known.note)
    return answers


def _mapped(
    file: PictureFile, image: UInt8Array, grid: Grid, manner: Manner, folder: Path, count: Count
) -> Answer:
    """The answer to a larger picture, its map and its tiles written."""
    scores = scores_of(manner.logits(image, grid, count), manner.model.classes)
    place = folder / file.place
    path = place.with_name(place.name + MAP_SUFFIX)
    title = MapTitle(
        file.path.name, scores.name, f"{manner.model.name}, {manner.words}", manner.model.synthetic
    )
    write_probability_map(path, image, scores.values.reshape(grid.rows, grid.columns), grid, title)
    write_csv(place.with_name(place.name + TILES_SUFFIX), tiles_table(scores, grid))
    return replace(answer_of(file.name, image.shape[:2], scores, grid), map=str(path))
