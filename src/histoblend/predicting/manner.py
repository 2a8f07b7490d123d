"""How pictures are shown to a model: as one patch or as tiles, and how they are brought to its side."""

from __future__ import annotations

from dataclasses import dataclass

from histoblend.data.fitting import Fitting
from histoblend.inference.tiles import Grid, default_stride
from histoblend.predicting.picture_logits import InOnePass, PictureLogits, tile_by_tile
from histoblend.predicting.request import PredictRequest
from histoblend.predicting.trained import TrainedModel
from histoblend.workspace import Workspace, read_json


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


def manner_of(request: PredictRequest, model: TrainedModel, workspace: Workspace) -> Manner:
    """How the request, and what the output folder tells of the training, want pictures to be shown."""
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
