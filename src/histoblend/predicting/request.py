"""What is asked of `histoblend predict`, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from histoblend.errors import ConfigRefusal
from histoblend.workspace import Workspace


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


def destination_of(request: PredictRequest, workspace: Workspace, pictures: int) -> Destination:
    """Where results go: never among the pictures, unless that was asked for."""
    named = request.destination
    if named is None:
        folder = workspace.predictions / request.model
        return Destination(folder, folder / "predictions.csv" if pictures > 1 else None)
    if named.suffix.lower() == ".csv":
        return Destination(named.with_name(f"{named.stem}-maps"), named)
    if named.is_file():
        raise ConfigRefusal(
            f"--to {named} is a file.", "a folder, or a name ending in .csv", "choose another one."
        )
    return Destination(named, named / "predictions.csv")
