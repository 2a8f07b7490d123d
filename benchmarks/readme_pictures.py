"""Makes the README's pictures from a finished `quick` run on the synthetic competition, and one from real patches.

python benchmarks/readme_pictures.py input/synthetic output docs/images
python benchmarks/readme_pictures.py map ../shared/hcd-mini output/one docs/images     (from a run with --folds 0)
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from histoblend.data.decode import decode_patch
from histoblend.predicting import PredictRequest, predict_pictures
from histoblend.reporting.augment_preview import write_augment_preview
from histoblend.reporting.contact_sheet import contact_sheet, outline_centre, write_png
from histoblend.reporting.progress import Display

COLUMNS = 8


def synthetic_sheet(data: Path, path: Path) -> None:
    """Positives above, negatives below, each from different slides, the labelled centre outlined."""
    table = pd.read_csv(data / "train_labels.csv", dtype={"id": str})
    slides = pd.read_csv(data / "patch_id_wsi_full.csv", dtype={"id": str})
    table = table.merge(slides, on="id").sample(frac=1, random_state=3)
    rows = [table[table["label"] == label].drop_duplicates("wsi")[:COLUMNS] for label in (1, 0)]
    chosen = pd.concat(rows)
    patches = [outline_centre(decode_patch(str(data / "train" / f"{one}.tif"))) for one in chosen["id"]]
    captions = [f"label {label}" for label in chosen["label"]]
    title = "SYNTHETIC patches, one per slide; the label asks for tumour in the outlined centre"
    write_png(path, contact_sheet(patches, COLUMNS, captions, title, scale=1))


def probability_map(data: Path, output: Path, pictures: Path) -> None:
    """A mosaic of patches that fold 0 holds out, left half without tumour, right half with, and its map.

    In `output` only fold 0 is trained, so no network that is asked has seen these patches.
    """
    folds = pd.read_csv(output / "folds.csv", dtype={"id": str})
    held_out = folds[folds["fold"] == 0].sample(frac=1, random_state=1)
    halves = [_mosaic(data, held_out[held_out["label"] == label]["id"]) for label in (0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "36 patches, no tumour left, tumour right.png"
        write_png(picture, np.hstack(halves))
        asked = PredictRequest((picture,), "mini_resnet", output, destination=Path(folder))
        predict_pictures(asked, Display(), os.environ)
        drawn = cv2.imread(str(next(Path(folder).glob("*.map.png"))))
    cv2.imwrite(
        str(pictures / "probability-map.jpg"),
        cv2.resize(drawn, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    )


def _mosaic(data: Path, ids: pd.Series, rows: int = 6, columns: int = 3) -> np.ndarray:
    patches = [decode_patch(str(data / "train" / f"{one}.tif")) for one in ids[: rows * columns]]
    return np.vstack([np.hstack(patches[row * columns : (row + 1) * columns]) for row in range(rows)])


def main(data: Path, output: Path, pictures: Path) -> None:
    pictures.mkdir(parents=True, exist_ok=True)
    synthetic_sheet(data, pictures / "synthetic.png")
    write_augment_preview("small_vgg", data, pictures / "augment-preview.png", (2, 1), {})
    shutil.copy(output / "experiments/course_cnn/fold_0/roc.png", pictures / "roc.png")


if __name__ == "__main__":
    if sys.argv[1] == "map":
        probability_map(*map(Path, sys.argv[2:5]))
    else:
        main(*map(Path, sys.argv[1:4]))
