"""Where the competition lies: ``--data``, ``HISTOBLEND_DATA``, the Kaggle mounts, ``input/``.

A place is recognised by its marker files, never by its name: Kaggle has moved its mounts before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from histoblend.competition.synthetic import is_synthetic
from histoblend.errors import DataRefusal, some

KAGGLE_INPUT = Path("/kaggle/input")
DEPTH = 4  # /kaggle/input/datasets/<owner>/<slug>/<folder>
IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
IMAGES_THAT_END_A_SEARCH = 20
HALF_MARKERS = frozenset(
    {"train_labels.csv", "train_labels.csv.zip", "train.zip", "histopathologic-cancer-detection.zip"}
)
EXPECTED = (
    "a folder with train_labels.csv, train/*.tif and test/*.tif (sample_submission.csv if there is one)"
)


@dataclass(frozen=True)
class Located:
    """A competition folder and, in one sentence, why it was taken."""

    root: Path
    reason: str


@dataclass(frozen=True)
class _Folder:
    path: Path
    files: frozenset[str]
    folders: tuple[str, ...]

    @property
    def is_competition(self) -> bool:
        return "train_labels.csv" in self.files and "train" in self.folders


def locate(
    data: Path | None,
    environment: Mapping[str, str],
    input_folder: Path,
    kaggle_input: Path = KAGGLE_INPUT,
) -> Located | None:
    """Find the competition; None where nothing was asked for and nothing lies around.

    Args:
        data: the value of ``--data``.
        environment: where ``HISTOBLEND_DATA`` is looked up.
        input_folder: the project's ``input/``; a synthetic competition in it is taken only if it is alone.
        kaggle_input: where Kaggle mounts competitions and datasets.

    Raises:
        DataRefusal: a place that was asked for holds no competition, a competition lies there still packed or
            incomplete, or several lie there side by side.
    """
    if data is not None:
        return _asked_for(data, "--data")
    if named := environment.get("HISTOBLEND_DATA"):
        return _asked_for(Path(named), "HISTOBLEND_DATA")
    if on_kaggle := _lying_around(kaggle_input, "the Kaggle mounts"):
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
    found = [folder.path for folder in folders if folder.is_competition]
    if not found:
        raise _no_competition(place, origin, folders)
    root = _the_only(found, f"{origin} {place}")
    where = "names it" if root == place else f"names {place}, which holds it"
    return Located(root, f"{origin} {where}.")


def _lying_around(top: Path, what: str) -> Located | None:
    folders = list(_walk(top, DEPTH)) if top.is_dir() else []
    found = [folder.path for folder in folders if folder.is_competition]
    real = [path for path in found if not is_synthetic(path)]
    if real:
        return Located(_the_only(real, what), f"It was found in {what} ({top}).")
    if half := [folder for folder in folders if _is_half(folder)]:
        raise _no_competition(half[0].path, what, half)
    if found:
        root = _the_only(found, what)
        return Located(root, f"It is the synthetic competition in {what}, and no real one lies there.")
    return None


def _the_only(found: list[Path], what: str) -> Path:
    if len(found) > 1:
        raise DataRefusal(
            f"{what} holds several competitions: {some(found)}.",
            "one of them",
            f"name it, for example: --data {found[0]}",
        )
    return found[0]


def _is_half(folder: _Folder) -> bool:
    return bool(HALF_MARKERS & folder.files) and not folder.is_competition


def _no_competition(place: Path, origin: str, folders: list[_Folder]) -> DataRefusal:
    held = f"{place} is a file" if place.is_file() else f"{place} holds {_inside(place)}"
    remedy = "name the folder that holds these files."
    for folder in folders:
        if zips := sorted(name for name in folder.files if name.endswith(".zip")):
            remedy = f"{folder.path} holds archives still packed ({some(zips)}): unpack them there."
    return DataRefusal(f"There is no competition in {origin}: {held}.", EXPECTED, remedy)


def _inside(place: Path) -> str:
    names = sorted(entry.name for entry in place.iterdir())
    return some(names) if names else "nothing"


def _walk(top: Path, depth: int) -> Iterator[_Folder]:
    """`top` and the folders below it, down to `depth`; competitions and folders of images are not entered."""
    folder = _look_into(top)
    if folder is None:
        return
    yield folder
    if folder.is_competition or depth == 0:
        return
    for name in folder.folders:
        yield from _walk(top / name, depth - 1)


def _look_into(path: Path) -> _Folder | None:
    """What `path` holds; None for a folder of images, which is left as soon as it shows to be one."""
    files, folders, images = set(), [], 0
    try:
        with os.scandir(path) as scan:
            for entry in scan:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                    images += 1
                else:
                    files.add(entry.name)
                if images > IMAGES_THAT_END_A_SEARCH:
                    return None
    except PermissionError:
        return None
    return _Folder(path, frozenset(files), tuple(sorted(folders)))
