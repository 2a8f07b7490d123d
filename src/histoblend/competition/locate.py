"""Where the competition lies: ``--data``, ``HISTOBLEND_DATA``, the Kaggle mounts, ``input/``.

A place is recognised by its marker files, never by its name: Kaggle has moved its mounts before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from histoblend.competition.contract import HCD, IMAGE_FOLDERS
from histoblend.competition.recognise import Folder, are_class_folders, look_into
from histoblend.competition.synthetic import is_synthetic
from histoblend.errors import DataRefusal, some
from histoblend.workspace import kaggle_root

DEPTH = 4  # /kaggle/input/datasets/<owner>/<slug>/<folder>
HALF_MARKERS = frozenset(
    {"train_labels.csv", "train_labels.csv.zip", "train.zip", "histopathologic-cancer-detection.zip"}
)
EXPECTED = """a folder with one of
    train_labels.csv, train/*.tif and test/*.tif (sample_submission.csv if there is one)
    train/<class>/*.jpg|png|tif, with or without valid/ and test/ (or train+val/train/<class>/*)
    camelyonpatch_level_2_split_train_x.h5 and ..._train_y.h5 (or .h5.gz)
    train.npy and labels.npy"""


@dataclass(frozen=True)
class Located:
    """A competition folder, in one sentence why it was taken, and its layout."""

    root: Path
    reason: str
    layout: str


def locate(
    data: Path | None,
    environment: Mapping[str, str],
    input_folder: Path,
    kaggle_input: Path | None = None,
) -> Located | None:
    """Find the competition; None where nothing was asked for and nothing lies around.

    Args:
        data: the value of ``--data``.
        environment: where ``HISTOBLEND_DATA`` is looked up.
        input_folder: the project's ``input/``; a synthetic competition in it is taken only if it is alone.
        kaggle_input: where Kaggle mounts competitions and datasets; else `kaggle_root` says it.

    Raises:
        DataRefusal: a place that was asked for holds no competition, a competition lies there still packed or
            incomplete, or several lie there side by side.
    """
    if data is not None:
        return _asked_for(data, "--data")
    if named := environment.get("HISTOBLEND_DATA"):
        return _asked_for(Path(named), "HISTOBLEND_DATA")
    mounts = kaggle_input or kaggle_root(environment) / "input"
    if on_kaggle := _lying_around(mounts, "the Kaggle mounts"):
        return on_kaggle
    return _lying_around(input_folder, "the input folder")


def find_files(top: Path, name: str) -> list[Path]:
    """The files called `name` under `top`, sorted, folders of images left out."""
    return sorted(folder.path / name for folder in _walk(top, DEPTH) if name in folder.files)


def _asked_for(place: Path, origin: str) -> Located:
    place = place.expanduser()
    if not place.exists():
        raise DataRefusal(f"{origin} names {place}, which does not exist.", EXPECTED, "correct the path.")
    folders = list(_walk(place, DEPTH)) if place.is_dir() else []
    found = [folder for folder in folders if folder.layout is not None]
    if not found:
        if not any(_is_half(folder) for folder in folders) and are_class_folders(place):
            return Located(place, f"{origin} names it, and its folders are taken for classes.", IMAGE_FOLDERS)
        raise _no_competition(place, origin, folders)
    chosen, others = _chosen(found, f"{origin} {place}")
    where = "names it" if chosen.path == place else f"names {place}, which holds it"
    return _located(chosen, f"{origin} {where}", others)


def _lying_around(top: Path, what: str) -> Located | None:
    folders = list(_walk(top, DEPTH)) if top.is_dir() else []
    found = [folder for folder in folders if folder.layout is not None]
    real = [folder for folder in found if not is_synthetic(folder.path)]
    half = [folder for folder in folders if _is_half(folder)]
    if half and not any(folder.layout == HCD for folder in real):
        raise _no_competition(half[0].path, what, half)
    if real:
        chosen, others = _chosen(real, what)
        return _located(chosen, f"It was found in {what} ({top})", others)
    if found:
        chosen, _ = _chosen(found, what)
        return Located(
            chosen.path, f"It is the synthetic competition in {what}, and no real one lies there.", HCD
        )
    return None


def _chosen(found: list[Folder], what: str) -> tuple[Folder, list[Folder]]:
    """The one competition in HCD's layout, else the one of another layout; and what else lies there."""
    candidates = [folder for folder in found if folder.layout == HCD] or found
    if len(candidates) > 1:
        raise DataRefusal(
            f"{what} holds several competitions: {some([folder.path for folder in candidates])}.",
            "one of them",
            f"name it, for example: --data {candidates[0].path}",
        )
    return candidates[0], [folder for folder in found if folder is not candidates[0]]


def _located(folder: Folder, reason: str, others: list[Folder]) -> Located:
    assert folder.layout is not None
    if folder.layout != HCD:
        reason += f", laid out as {folder.layout}"
    elif others:
        named = [f"{other.path} ({other.layout})" for other in others]
        reason += f", before what has another layout: {some(named)}"
    return Located(folder.path, f"{reason}.", folder.layout)


def _is_half(folder: Folder) -> bool:
    return bool(HALF_MARKERS & folder.files) and folder.layout is None


def _no_competition(place: Path, origin: str, folders: list[Folder]) -> DataRefusal:
    held = f"{place} is a file" if place.is_file() else f"{place} holds {_inside(place)}"
    remedy = "name the folder that holds these files."
    for folder in folders:
        if zips := sorted(name for name in folder.files if name.endswith(".zip")):
            remedy = f"{folder.path} holds archives still packed ({some(zips)}): unpack them there."
    return DataRefusal(f"There is no competition in {origin}: {held}.", EXPECTED, remedy)


def _inside(place: Path) -> str:
    names = sorted(entry.name for entry in place.iterdir())
    return some(names) if names else "nothing"


def _walk(top: Path, depth: int) -> Iterator[Folder]:
    """`top` and the folders below it, down to `depth`; competitions and folders of images are not entered."""
    folder = look_into(top)
    if folder is None:
        return
    yield folder
    if folder.layout is not None or depth == 0:
        return
    for name in folder.folders:
        yield from _walk(top / name, depth - 1)
