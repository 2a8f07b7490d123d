"""Write a drawn competition into a folder, in the real one's layout, complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import pandas as pd

from histoblend.competition.synthetic.fields import draw_textures
from histoblend.competition.synthetic.patches import draw_planned
from histoblend.competition.synthetic.plan import PartPlan, plan_part
from histoblend.competition.synthetic.slides import Slide, draw_slides
from histoblend.competition.synthetic.tiff import encode_tiff
from histoblend.errors import ConfigRefusal, MachineRefusal

MARKER = "SYNTHETIC.txt"
SLIDE_MAP = "patch_id_wsi_full.csv"
SOLUTION = "solution.csv"

_NOTICE = """\
SYNTHETIC: these patches are drawn, not photographed. No patient, no tissue, no microscope.

histoblend drew this folder ({train} training and {test} test patches on {slides} slides, seed {seed}) so that
its pipeline can be tried without the data of the Histopathologic Cancer Detection competition, whose layout it
copies. Scores reached here say nothing about real patches, and predictions made here must not be submitted.
solution.csv holds the test labels for a local leaderboard; about 2 % of all labels are wrong on purpose.
"""


def is_synthetic(folder: Path) -> bool:
    """Whether `folder` holds a drawn competition: it carries the marker file."""
    return (folder / MARKER).is_file()


def draw_competition(
    folder: Path,
    train_patches: int = 2000,
    test_patches: int = 1000,
    slides: int = 36,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw a competition into `folder`, which must not exist or be empty.

    Drawn into a sibling folder that is renamed at the end: a folder that exists is complete.

    Args:
        folder: gets ``train/ test/ train_labels.csv sample_submission.csv patch_id_wsi_full.csv solution.csv
            SYNTHETIC.txt``.
        train_patches, test_patches: how many; at least four per slide of the part.
        slides: slides of the training part; the test part has half as many, all of them other ones.
        seed: the same arguments give the same bytes.
        progress: called with (patches drawn, patches in all) after each patch.

    Raises:
        ConfigRefusal: too few slides, or too few patches for them.
        MachineRefusal: the folder is in use, or cannot be written.
    """
    parts = _parts(train_patches, test_patches, slides)
    if folder.exists() and any(folder.iterdir()):
        raise MachineRefusal(f"{folder} is not empty", "an empty or new folder", "name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.unfinished-", dir=folder.parent))
    except OSError as error:
        raise MachineRefusal(
            f"{folder.parent} cannot be written: {error}", remedy="name another folder"
        ) from error
    try:
        _draw_into(unfinished, parts, seed, progress)
        _write(unfinished / MARKER, _notice(parts, seed).encode())
        unfinished.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    except OSError as error:
        raise MachineRefusal(
            f"Drawing into {folder} stopped: {error}", remedy="make room, or name another folder"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _parts(train_patches: int, test_patches: int, slides: int) -> dict[str, tuple[int, int]]:
    """Patches and slides of each part."""
    parts = {"train": (train_patches, slides), "test": (test_patches, max(2, slides // 2))}
    for part, (patches, part_slides) in parts.items():
        if part_slides < 2 or patches < 4 * part_slides:
            raise ConfigRefusal(
                f"{patches} {part} patches on {part_slides} slides",
                "at least 2 slides, and 4 patches for each",
                "draw more patches or fewer slides",
            )
    return parts


def _notice(parts: dict[str, tuple[int, int]], seed: int) -> str:
    (train, train_slides), (test, test_slides) = parts["train"], parts["test"]
    return _NOTICE.format(train=train, test=test, slides=train_slides + test_slides, seed=seed)


def _draw_into(
    folder: Path,
    parts: dict[str, tuple[int, int]],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    total, done = sum(patches for patches, _ in parts.values()), 0
    textures = draw_textures(seed)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the pictures are small: more threads only wait for each other
    try:
        maps = []
        for part, (patches, part_slides) in parts.items():
            slides = draw_slides(part_slides, part, seed)
            plan = plan_part(part, patches, slides, seed)
            (folder / part).mkdir()
            for number, identity in enumerate(plan.ids):
                image = draw_planned(plan, number, slides, textures, seed).image
                (folder / part / f"{identity}.tif").write_bytes(encode_tiff(image))
                done += 1
                if progress is not None:
                    progress(done, total)
            maps.append(_slide_map(plan, slides))
            _write_labels(folder, plan)
        _write(folder / SLIDE_MAP, pd.concat(maps).to_csv(index=False).encode())
    finally:
        cv2.setNumThreads(threads)


def _slide_map(plan: PartPlan, slides: list[Slide]) -> pd.DataFrame:
    return pd.DataFrame({"id": plan.ids, "wsi": [slides[index].name for index in plan.slides]})


def _write_labels(folder: Path, plan: PartPlan) -> None:
    labels = pd.DataFrame({"id": plan.ids, "label": plan.labels})
    if plan.part == "train":
        _write(folder / "train_labels.csv", labels.to_csv(index=False).encode())
    else:
        _write(folder / SOLUTION, labels.to_csv(index=False).encode())
        _write(folder / "sample_submission.csv", labels.assign(label=0).to_csv(index=False).encode())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
