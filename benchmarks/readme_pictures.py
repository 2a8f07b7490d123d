"""Makes the README's pictures from a finished `quick` run on the synthetic competition.

python benchmarks/readme_pictures.py input/synthetic output docs/images
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd

from histoblend.data.decode import decode_patch
from histoblend.reporting.augment_preview import write_augment_preview
from histoblend.reporting.contact_sheet import contact_sheet, outline_centre, write_png

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


def main(data: Path, output: Path, pictures: Path) -> None:
    pictures.mkdir(parents=True, exist_ok=True)
    synthetic_sheet(data, pictures / "synthetic.png")
    write_augment_preview("small_vgg", data, pictures / "augment-preview.png", (2, 1), {})
    shutil.copy(output / "experiments/course_cnn/fold_0/roc.png", pictures / "roc.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
