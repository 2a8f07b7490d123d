"""A task whose experiment is an estimator on texture statistics; the statistics are kept beside the pack."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from histoblend.data import stain, texture
from histoblend.data.pack_files import open_images
from histoblend.models.parameters import TextureHgb
from histoblend.models.texture_hgb import fit_texture_hgb
from histoblend.training.task import Task, TaskInputs, Trained
from histoblend.workspace import atomic_write, file_hash

CHUNK = 256


def train_texture(task: Task, inputs: TaskInputs) -> Trained:
    """Fit the estimator on the statistics of all folds but the task's."""
    started = time.monotonic()
    pack = inputs.pack
    tables = {
        "train": kept_features(pack.folder / "train.npy", inputs.device.threads),
        "test": kept_features(pack.folder / "test.npy", inputs.device.threads),
    }
    training = inputs.folds[inputs.folds["fold"] != task.fold]
    settings = TextureHgb.model_validate(task.experiment.network.parameters)
    estimator = fit_texture_hgb(
        tables["train"][training.index], training["label"].to_numpy(), settings, task.experiment.seed
    )

    def predict(part: str, rows: np.ndarray) -> np.ndarray:
        logits = np.asarray(estimator.decision_function(tables[part][rows]), np.float64)
        return logits.reshape(len(rows), 1, -1)  # two classes: one logit

    return Trained(predict, time.monotonic() - started, len(training))


def kept_features(images_path: Path, threads: int) -> np.ndarray:
    """Texture statistics float32 (n, d) of a pack's array, computed once and kept beside it."""
    path = images_path.with_name(f"{images_path.stem}.texture-{code_hash()}.npy")
    if not path.exists():
        features = computed_features(open_images(images_path.parent, images_path.stem), threads)
        with atomic_write(path) as temporary:
            np.save(temporary, features)
    return np.asarray(np.load(path))


def code_hash() -> str:
    """Identity of the code that computes the statistics: a change there must not meet old statistics."""
    return file_hash(Path(texture.__file__)) + file_hash(Path(stain.__file__))


def computed_features(images: np.ndarray, threads: int) -> np.ndarray:
    """Texture statistics float32 (n, d) of uint8 images (n, h, w, 3), chunk by chunk."""
    chunks = [images[start : start + CHUNK] for start in range(0, max(1, len(images)), CHUNK)]
    with ThreadPoolExecutor(min(threads, os.cpu_count() or 1)) as pool:
        return np.concatenate(list(pool.map(texture.texture_features, chunks)))
