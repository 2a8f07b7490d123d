"""The layouts a competition may have, each recognised by its files and read by a module of its own."""

from __future__ import annotations

from pathlib import Path

from histoblend.competition.arrays import read_arrays
from histoblend.competition.contract import IMAGE_FOLDERS, NPY, PCAM, Competition
from histoblend.competition.digits import read_digits
from histoblend.competition.door import Door
from histoblend.competition.hcd import read_hcd
from histoblend.competition.image_folders import read_image_folders
from histoblend.competition.locate import KAGGLE_INPUT
from histoblend.competition.parts import UseValid, check_use_valid
from histoblend.competition.pcam import read_pcam
from histoblend.competition.recognise import layout_of

__all__ = ["Competition", "UseValid", "read_competition", "read_digits"]

READERS = {IMAGE_FOLDERS: read_image_folders, PCAM: read_pcam, NPY: read_arrays}


def read_competition(
    root: Path,
    kaggle_input: Path = KAGGLE_INPUT,
    use_valid: UseValid = "folds",
    door: Door | None = None,
) -> Competition:
    """Read and check the competition in `root`, whatever its layout; none that is known means HCD's.

    Args:
        root: the folder that `locate` found, or one of class folders.
        kaggle_input: where a slide map may lie in a mount of its own.
        use_valid: whether a validation part joins the folds or is held out and only scored.
        door: strict unless given; a lenient one gathers the refusals while the sound rows are read.

    Raises:
        DataRefusal: any fact that must hold does not; the message names the first offenders and their count.
    """
    root, door = root.resolve(), door or Door()
    if reader := READERS.get(layout_of(root) or ""):
        return reader(root, use_valid, door)
    check_use_valid(None, use_valid, root, door)
    return read_hcd(root, kaggle_input, door)
