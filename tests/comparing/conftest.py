"""An output folder as runs leave it, drawn in a blink: no network is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from histoblend.config import Plan
from histoblend.data.decode import Chunk, content_hash
from histoblend.data.folds import folds_fingerprint
from histoblend.data.pack_files import write_images, write_index
from histoblend.evaluation.auc import auc
from histoblend.inference.tables import out_of_fold_table
from histoblend.workspace import TaskFolder, Workspace, file_hash, write_csv, write_json, write_text

SLIDES, PATCHES, SIDE = 50, 300, 16
SETTINGS: dict[str, Any] = {
    "name": "?",
    "network": {"name": "small_vgg", "widths": [4, 8]},
    "augmentation": [{"name": "D4", "p": 1.0}],
    "training": {"epochs": 3, "batch_size": 16},
    "role": "member",
}


@dataclass(frozen=True)
class Output:
    """An output folder to which experiments and blends are added."""

    workspace: Workspace
    folds: pd.DataFrame
    data: str

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def logits(self, strength: float, seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=len(self.folds))
        return (strength * self.folds["label"].to_numpy() + noise)[:, None]

    def experiment(
        self, name: str, strength: float = 1.5, finished: tuple[int, ...] = (0, 1, 2), **changes: Any
    ) -> None:
        """An experiment with some folds finished; whole, with a table of its own, if all are."""
        folder = self.workspace.experiment(name)
        record = {"experiment": SETTINGS | {"name": name} | changes, "views": 4, "precision": "float32"}
        write_text(
            folder.config, yaml.safe_dump(record | {"data": self.data, "fingerprint": f"print of {name}"})
        )
        table = out_of_fold_table(self.folds, self.logits(strength, sum(map(ord, name))))
        for fold in finished:
            self._task(folder.task(fold), fold, table[table["fold"] == fold])
        if len(finished) == 3:
            write_csv(folder.out_of_fold, table)

    def _task(self, task: TaskFolder, fold: int, table: pd.DataFrame) -> None:
        write_csv(task.out_of_fold, table)
        seconds = {"train_seconds": 30.0, "prediction_seconds": 6.0, "images_per_second": 100.0 + fold}
        score = auc(table["label"].to_numpy(), table["logit"].to_numpy())
        about = {
            "auc": score,
            "auc_one_view": 0.79,
            "views": 4,
            "patches": len(table),
            "precision": "float32",
        }
        files = {"oof.csv": file_hash(task.out_of_fold)}
        write_json(task.done, seconds | about | {"fold": fold, "fingerprint": "f", "files": files})

    def blend(self, name: str, strength: float = 2.0, **weights: float) -> None:
        folder = self.workspace.ensemble(name)
        write_csv(
            folder.out_of_fold, out_of_fold_table(self.folds, self.logits(strength, sum(map(ord, name))))
        )
        members = {member: [member] for member in weights}
        write_json(folder.weights, {"rule": name.split("_", 1)[1], "weights": weights, "members": members})


def made_output(folder: Path, split: int = 0, pixels: int = 0) -> Output:
    """An output folder with folds, a run's note and packed patches.

    Args:
        split: another number, other folds; `pixels`: other data.
    """
    ids = pd.Series([f"patch{number:04d}" for number in range(PATCHES)])
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, PATCHES)
    images = np.random.default_rng(pixels).integers(0, 256, (PATCHES, SIDE, SIDE, 3), dtype=np.uint8)
    data = packed(folder / "cache", ids, labels, images)
    numbers = np.arange(PATCHES) % SLIDES
    slides = pd.Series([f"slide{number:02d}" for number in numbers])
    fold = np.random.default_rng(split).permutation(np.arange(SLIDES) % 3)[numbers]
    folds = pd.DataFrame({"id": ids, "label": labels, "slide": slides, "fold": fold})
    workspace = Workspace(folder)
    write_csv(workspace.folds, folds)
    plan = Plan.model_validate({"name": "toy", "experiments": ["first"], "data": {"side": SIDE}})
    note = {"name": "toy", "fingerprint": data, "root": str(folder / "nowhere"), "synthetic": True}
    run = {
        "started": "2026-11-21 00:00:00",
        "plan": plan.model_dump(mode="json"),
        "data": note | {"classes": {"no tumour": 1, "tumour": 1}},
        "folds": {"fingerprint": folds_fingerprint(folds), "policy": "map", "sentence": "slides of a map"},
    }
    write_json(workspace.run_record, run)
    return Output(workspace, folds, data)


def packed(cache: Path, ids: pd.Series, labels: np.ndarray, images: np.ndarray) -> str:
    """Write a sound pack; its fingerprint."""
    fresh = cache / "fresh"
    fresh.mkdir(parents=True)
    hashes = [content_hash(image.tobytes()) for image in images]
    write_images(fresh / "train.npy", SIDE, [Chunk(images, hashes, [])], lambda seen: None)
    write_images(fresh / "test.npy", SIDE, [], lambda seen: None)
    train = pd.DataFrame({"id": ids, "label": labels, "pixel_hash": hashes})
    data = write_index(fresh, train, pd.DataFrame({"id": [], "pixel_hash": []}, dtype=str))
    fresh.rename(cache / data)
    return data


@pytest.fixture
def output(tmp_path: Path) -> Output:
    made = made_output(tmp_path / "output")
    made.experiment("vgg", 1.4)
    made.experiment(
        "resnet",
        1.5,
        network={"name": "small_resnet", "blocks": [1, 1]},
        training={"epochs": 5, "batch_size": 16},
    )
    made.blend("toy_logit_mean", 2.5, vgg=0.5, resnet=0.5)
    made.blend("toy_greedy", 2.6, vgg=0.3, resnet=0.7)
    return made


@pytest.fixture
def another(tmp_path: Path) -> Callable[..., Output]:
    """Makes further output folders, by name."""
    return lambda name, **changes: made_output(tmp_path / name, **changes)
