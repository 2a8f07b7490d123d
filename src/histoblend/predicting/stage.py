"""`histoblend predict` from the request to what is said and written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pandas as pd

from histoblend.config import Execution
from histoblend.config_files import configs_folder
from histoblend.errors import DataRefusal, counted, some
from histoblend.execution.device import prepare_device
from histoblend.inference.tiles import default_stride
from histoblend.predicting.answers import Answer, answers_table
from histoblend.predicting.learned import Learned, learned_patches
from histoblend.predicting.manner import Manner, manner_of
from histoblend.predicting.picture_files import Listed, list_pictures
from histoblend.predicting.picture_logits import InOnePass
from histoblend.predicting.pictures import predicted
from histoblend.predicting.request import Destination, PredictRequest, destination_of
from histoblend.predicting.trained import TrainedModel, load_trained
from histoblend.preparation import default_output
from histoblend.reporting.prediction_table import printed_answers, spoken_answer
from histoblend.reporting.progress import Display
from histoblend.reporting.time_left import TimeLeft
from histoblend.workspace import Workspace, scratch_folder, write_csv

BORDERS = (
    "In one pass a patch is surrounded by its neighbours, in training it was by zeros: probabilities are near those "
    "of tiles, not equal (on hcd-mini .03 to .09 apart on average, the AUC .000 to .021 lower)."
)


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
    destination = destination_of(request, workspace, len(listed.pictures))
    prepare_device(Execution())
    model = load_trained(request.model, workspace, request.views)
    manner = manner_of(request, model, workspace)
    learned = learned_patches(workspace, scratch_folder(workspace, environment), manner.fitting)
    _introduce(manner, listed, display)
    with display.counting("Predicting, in tiles") as count:
        told = TimeLeft(count, display.tell)
        answers = predicted(listed.pictures, manner, learned, destination.folder, told)
    _warn_of_learned(answers, learned, display)
    return _concluded(answers, manner, destination, display)


def _introduce(manner: Manner, listed: Listed, display: Display) -> None:
    model = manner.model
    if model.synthetic:
        display.warn(
            f"{model.name} was trained on SYNTHETIC patches: its probabilities say nothing about real tissue."
        )
    display.tell(f"Model: {_described(model)}.")
    for note in model.notes:
        display.warn(note)
    if manner.whole:
        display.tell("Each picture is taken as one patch, whatever its size.")
    if listed.others:
        display.tell(f"Not looked at, by their suffix: {counted(listed.others, 'other file')}.")
    if isinstance(manner.logits, InOnePass):
        display.tell(BORDERS)
    if manner.stride > default_stride(model.side) and not manner.whole:
        display.tell(
            f"Stride {manner.stride} is wider than the labelled centre of a patch "
            f"({default_stride(model.side)} pixels): a cell stands for its middle only."
        )


def _described(model: TrainedModel) -> str:
    members = [
        f"{member.name}, {counted(len(member.networks), 'fold')}, {counted(len(member.views), 'view')}"
        for member in model.members
    ]
    alone = len(members) == 1 and model.members[0].name == model.name
    return members[0] if alone else f"{model.name}, the logit mean of {'; '.join(members)}"


def _warn_of_learned(answers: Sequence[Answer], learned: Learned, display: Display) -> None:
    found = [f"{answer.picture}: {answer.learned}" for answer in answers if answer.learned]
    if not found:
        return
    by = "pixels or name"
    if learned.by_pixels is None:
        by = "name alone, for the pixel cache that would tell for sure is gone"
    display.warn(
        f"Met in training, by {by}: {len(found):,} of {counted(len(answers), 'picture')} ({some(found, 3)}). Networks "
        "that have learned them speak here; their honest predictions stand in the model's oof.csv."
    )


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
        display.tell(spoken_answer(answers[0].row()))
    else:
        display.show(
            printed_answers([answer.row() for answer in answers], f"Probabilities by {manner.model.name}")
        )
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
