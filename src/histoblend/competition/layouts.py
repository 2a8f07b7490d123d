"""The layouts a competition may have, each recognised by its files and read by a module of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from histoblend.competition.arrays import read_arrays
from histoblend.competition.contract import IMAGE_FOLDERS, NPY, PCAM, Competition
from histoblend.competition.digits import read_digits
from histoblend.competition.door import Door
from histoblend.competition.hcd import read_hcd
from histoblend.competition.image_folders import read_image_folders
from histoblend.competition.leak_check import check_data_folder, check_mounts, is_guarded
from histoblend.competition.parts import UseValid, check_use_valid
from histoblend.competition.pcam import read_pcam
from histoblend.competition.recognise import layout_of
from histoblend.workspace import kaggle_root

__all__ = ["Competition", "UseValid", "read_competition", "read_digits"]

READERS = {IMAGE_FOLDERS: read_image_folders, PCAM: read_pcam, NPY: read_arrays}


def read_competition(
    root: Path,
    kaggle_input: Path | None = None,
    use_valid: UseValid = "folds",
    door: Door | None = None,
) -> Competition:
    """Read and check the competition in `root`, whatever its layout; none that is known means HCD's.

    Args:
        root: the folder that `locate` found, or one of class folders.
        kaggle_input: where a slide map may lie in a mount of its own; else `kaggle_root` says it.
        use_valid: whether a validation part joins the folds or is held out and only scored.
        door: strict unless given; a lenient one gathers the refusals while the sound rows are read.

    Raises:
        DataRefusal: any fact that must hold does not, or leaked test labels lie there; the message names the first
            offenders and their count.
    """
    root, door = root.resolve(), door or Door()
    if reader := READERS.get(layout_of(root) or ""):
        return reader(root, use_valid, door)
    check_use_valid(None, use_valid, root, door)
    mounts = kaggle_input or kaggle_root(os.environ) / "input"
    competition = read_hcd(root, mounts, door)
    if is_guarded(competition):
        notes = _check_leaks(competition, mounts, door)
        return replace(competition, notes=(*competition.notes, *notes))
    return competition


def _check_leaks(competition: Competition, mounts: Path, door: Door) -> list[str]:
    train, test = competition.train["id"], competition.test["id"]
    notes = check_data_folder(competition.root, train, test, door)
    if competition.root.is_relative_to(mounts.resolve()):
        notes += check_mounts(mounts, competition.root, train, test, door)
    return notes
