"""A contact sheet of patches and what an experiment's augmentation makes of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from histoblend.competition.source import Source, draw_source, find_source
from histoblend.config import SyntheticSettings
from histoblend.config_files import configs_folder, load_experiment
from histoblend.data.augmentations import build_augmenter, resolve_augmentation
from histoblend.data.decode import read_patches
from histoblend.data.pictures import Unreadable
from histoblend.errors import DataRefusal
from histoblend.reporting.contact_sheet import augmentation_sheet, write_png

FEW = SyntheticSettings(train_patches=200, test_patches=100)


def write_augment_preview(
    experiment: str, data: Path | None, path: Path, sample: tuple[int, int], environment: Mapping[str, str]
) -> None:
    """Write the sheet for `sample` = (number of patches, seed) as PNG to `path`; synthetic patches if need be."""
    configs = configs_folder(environment)
    settings = load_experiment(experiment, configs)
    count, seed = sample
    with tempfile.TemporaryDirectory() as folder:
        source = find_source(data, environment, configs.parent / "input")
        source = source or draw_source(Path(folder) / "synthetic", FEW)
        patches = _sampled(source, count, seed)
    augmenter = build_augmenter(resolve_augmentation(settings.augmentation))
    name = settings.augmentation if isinstance(settings.augmentation, str) else "own list"
    mark = " (SYNTHETIC patches)" if source.competition.synthetic else ""
    title = f"{settings.name}: augmentation {name}{mark}"
    write_png(path, augmentation_sheet(patches, augmenter, seed=seed, title=title))


def _sampled(source: Source, count: int, seed: int) -> np.ndarray:
    train = source.competition.train
    try:
        return read_patches(train.sample(min(count, len(train)), random_state=seed))
    except Unreadable as error:
        raise DataRefusal(f"A patch of {source.competition.root} {error}.", "sound patches") from error
