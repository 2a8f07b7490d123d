"""Grad-CAM for a few held-out patches by one network of the output folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from histoblend.artifacts.artifacts import Artifacts, Candidate
from histoblend.artifacts.pixels import Pixels
from histoblend.competition.contract import TUMOUR_CLASSES
from histoblend.config import Execution
from histoblend.errors import ConfigRefusal, MachineRefusal
from histoblend.execution.device import prepare_device
from histoblend.execution.records import Record
from histoblend.models.problem import Problem
from histoblend.models.registry import NETWORKS
from histoblend.report_page.blocks import GalleryBlock, Picture
from histoblend.report_page.gallery import judged, outlined, overlaid, picture, png, to_explain
from histoblend.report_page.wording import share as share_of
from histoblend.workspace import TaskFolder

EACH = 2  # patches of each class called right, and as many called wrong
PRECISION = "float32"
BESIDE = "each patch, and beside it what brought most to that call."


@dataclass(frozen=True)
class Explanation:
    """Patches with their maps, and what they are of; no patches where there is no map to show, and then why."""

    galleries: tuple[GalleryBlock, ...]
    words: str


def explanation(artifacts: Artifacts, pixels: Pixels, centre: int | None) -> Explanation:
    """Maps of the first fold's network of the best experiment whose network has a last map.

    Raises:
        ArtifactRefusal: its weights are damaged.
    """
    refused = []
    for candidate in artifacts.experiments:
        row = NETWORKS.get(candidate.network)
        task = artifacts.workspace.experiment(candidate.name).task(candidate.metrics.folds[0])
        if row is None or row.kind != "keras":
            continue
        if not task.weights.exists():
            refused.append(f"{candidate.name} keeps no weights.")
            continue
        try:
            galleries = _galleries(candidate, artifacts, task, pixels, centre)
        except ConfigRefusal as refusal:
            refused.append(refusal.found)
            continue
        except MachineRefusal as refusal:
            return Explanation((), f"There are no maps: {refusal.found} To do: {refusal.remedy}")
        return Explanation(galleries, " ".join([*refused, _words(candidate, artifacts)]))
    reason = " ".join(refused) or "Grad-CAM takes a network, and none has a finished fold."
    return Explanation((), f"There are no maps to show. {reason}")


def _galleries(
    candidate: Candidate, artifacts: Artifacts, task: TaskFolder, pixels: Pixels, centre: int | None
) -> tuple[GalleryBlock, ...]:
    prepare_device(Execution())  # quietly, and with fixed threads
    from histoblend.inference.grad_cam import explained, grad_cam
    from histoblend.predicting.trained import trained_network

    record = Record(dict(candidate.settings))
    settings = record.content["experiment"]
    side = int(record.content.get("side", 96))
    problem = Problem(side, settings.get("input_size") or side, len(artifacts.classes))
    parted = explained(trained_network(task, record, PRECISION), problem, settings["network"].get("crop"))
    rows = judged(candidate.table, artifacts.folds)
    chosen = to_explain(rows[rows["fold"] == candidate.metrics.folds[0]], EACH)
    images = pixels.take(list(chosen["id"]))
    maps = grad_cam(parted, images, chosen["said"].to_numpy(), by_cell=True)
    return tuple(
        GalleryBlock(f"{kind}: {BESIDE}", _pairs(chosen, images, maps, wrong, artifacts, centre))
        for kind, wrong in (("Called right", False), ("Called wrong", True))
        if (chosen["said"].ne(chosen["label"]) == wrong).any()
    )


def _pairs(
    chosen: pd.DataFrame,
    images: np.ndarray,
    maps: np.ndarray,
    wrong: bool,
    artifacts: Artifacts,
    centre: int | None,
) -> tuple[Picture, ...]:
    """Each patch, then the patch under its map."""
    shown: list[Picture] = []
    for place, row in enumerate(chosen.to_dict("records")):
        if (row["said"] != row["label"]) != wrong:
            continue
        said = artifacts.classes[int(row["said"])]
        covered = overlaid(images[place], maps[place])
        where = _where(maps[place], centre)
        alternative = (
            f"The same patch in grey under a map of what spoke for {said}, yellow where most: {where}."
        )
        shown.append(picture(outlined(images[place], centre), row, artifacts.classes))
        shown.append(
            Picture(
                png(outlined(covered, centre)),
                alternative,
                (f"what spoke for {said}", where),
            )
        )
    return tuple(shown)


def _where(share: np.ndarray, centre: int | None) -> str:
    """How much of a map lies in the labelled centre, in words."""
    if not share.any():
        return "nothing on the map speaks for it"
    if centre is None:
        return f"highest at row {share.argmax() // share.shape[1]}, column {share.argmax() % share.shape[1]}"
    first = (len(share) - centre) // 2
    inside = share[first : first + centre, first : first + centre].sum() / share.sum()
    return f"{share_of(inside, 0)} of it in the centre"


def _words(candidate: Candidate, artifacts: Artifacts) -> str:
    fold, network = candidate.metrics.folds[0], candidate.network
    trained = str(candidate.settings.get("precision", ""))
    precision = (
        ""
        if trained in ("", PRECISION)
        else f" It was trained in {trained} and is computed in {PRECISION} here."
    )
    outline = (
        " The label is about the outlined centre, a ninth of the patch: a map spread evenly would have "
        f"{share_of(1 / 9, 0)} in it."
        if artifacts.classes == TUMOUR_CLASSES
        else ""
    )
    return (
        f"The network {network} of {candidate.name}, trained without fold {fold}, on patches of fold {fold} "
        "that it never saw: yellow marks what on its last map brought the most to the class it called, dark "
        f"blue what brought nothing.{outline} Maps are coarse, each has its own scale, and they show one "
        "network and one view, not the blend: a hint where to look, no proof of why. (Grad-CAM, Selvaraju et "
        "al. 2017, weighed cell by cell as in HiResCAM, Draelos and Carin 2020, so that what the head makes "
        f"of the centre counts.){precision}"
    )
