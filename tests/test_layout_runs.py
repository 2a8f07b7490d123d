"""Whole runs from every layout: what comes in, what is scored, what is submitted, what was dropped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest

from histoblend.errors import ArtifactRefusal, ConfigRefusal, DataRefusal
from histoblend.inference.tables import table_logits
from histoblend.pipeline import run
from histoblend.preparation import Request
from histoblend.reporting.progress import Display

EXPERIMENT = """
network: {name: small_vgg, widths: [4, 8], depths: [1, 1]}
augmentation: light
optimizer: {learning_rate: 1.0e-2}
training: {epochs: 10, batch_size: 8, balanced: true, class_weight: balanced, save_model: true, tensorboard: false}
"""
TEXTURE = "{network: {name: texture_hgb, iterations: 3, samples_per_leaf: 2}, role: yardstick, views: 1}"
PLAN = """
experiments: [only, texture]
data: {side: 32, near_duplicates: keep}
report: false
folds: {count: 2, slides: none}
tta: 1
"""


@pytest.fixture(autouse=True)
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project" / "configs"
    files = {
        "plans/layout.yaml": PLAN,
        "experiments/only.yaml": EXPERIMENT,
        "experiments/texture.yaml": TEXTURE,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setenv("HISTOBLEND_CONFIGS", str(folder))


def picture(label: int, number: int, side: int = 32) -> np.ndarray:
    """Noise with a disc whose colour tells the class."""
    generator = np.random.default_rng([label, number])
    image = generator.integers(60, 200, (side, side, 3), dtype=np.uint8)
    colour = [(250, 20, 20), (20, 250, 20), (20, 20, 250)][label]
    cv2.circle(image, (side // 2, side // 2), side // 3, colour, -1)
    return image


def draw_folders(root: Path, classes: dict[str, int], parts: dict[str, int], suffix: str = "png") -> Path:
    """Pictures of growing sizes in <root>/<part>/<class>/."""
    for part, count in parts.items():
        for name, label in classes.items():
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                path = root / part / name / f"{part}{number}.{suffix}"
                cv2.imwrite(str(path), picture(label, hash((part, number)) % 10**6, 32 + number)[:, :, ::-1])
    return root


def ranked(data: Path, output: Path, *settings: str) -> pd.Series:
    ranking = run(Request("layout", data, output, settings=settings), Display(), dict(os.environ))
    assert ranking is not None
    return ranking.set_index("name").loc["layout_logit_mean"]


def test_two_classes_without_a_test_part_are_ranked_and_nothing_is_submitted(tmp_path: Path):
    row = ranked(draw_folders(tmp_path / "cars", {"Car": 0, "Truck": 1}, {"train": 12}), tmp_path / "out")
    assert row["auc_pooled"] > 0.9 and pd.isna(row["local_leaderboard"])
    assert not (tmp_path / "out/submission.csv").exists()
    record = json.loads((tmp_path / "out/run.json").read_text())["data"]
    assert record["classes"] == {"Car": 12, "Truck": 12} and record["layout"] == "image folders"
    assert record["odd_files"] == {"train": {"other size": 22}}
    folder = tmp_path / "out/experiments/only"
    assert list(pd.read_csv(folder / "test.csv").columns) == ["id", "logit", "probability"]
    assert "Truck" in (folder / "config.yaml").read_text()


def test_three_classes_are_scored_one_against_the_rest_and_their_names_submitted(tmp_path: Path):
    root = draw_folders(tmp_path / "data", {"ant": 0, "bee": 1, "cat": 2}, {"train": 10, "valid": 4}, "jpg")
    (root / "test").mkdir()
    for number in range(6):
        cv2.imwrite(str(root / f"test/t{number}.jpg"), picture(number % 3, 900 + number)[:, :, ::-1])
    row = ranked(root, tmp_path / "out", "data.use_valid=holdout")
    assert row["auc_pooled"] > 0.8 and row["local_leaderboard"] > 0.8
    out_of_fold = pd.read_csv(tmp_path / "out/ensembles/layout_logit_mean/oof.csv")
    assert table_logits(out_of_fold).shape == (30, 3) and set(out_of_fold["label"]) == {0, 1, 2}
    assert len(pd.read_csv(tmp_path / "out/experiments/only/test.csv")) == 12 + 6
    submission = pd.read_csv(tmp_path / "out/submission.csv")
    assert len(submission) == 6 and set(submission["label"]) <= {"ant", "bee", "cat"}
    assert (tmp_path / "out/experiments/only/fold_0/roc.png").exists()


def test_ranks_are_no_blend_of_three_classes(tmp_path: Path):
    root = draw_folders(tmp_path / "data", {"ant": 0, "bee": 1, "cat": 2}, {"train": 4})
    with pytest.raises(ConfigRefusal, match="rank_mean has no meaning for 3 classes"):
        ranked(root, tmp_path / "out", "blend.rule=rank_mean")


def test_without_slides_colours_decide_what_stays_together(tmp_path: Path):
    root = draw_folders(tmp_path / "data", {"0": 0, "1": 1}, {"train": 40})
    row = ranked(root, tmp_path / "out", "folds.slides=auto", "training.epochs=1")
    assert row["slides_policy"] == "stain-clusters"
    assert pd.read_csv(tmp_path / "out/folds.csv").groupby("slide")["fold"].nunique().eq(1).all()


def test_unreadable_files_are_dropped_by_name(tmp_path: Path):
    root = draw_folders(tmp_path / "data", {"0": 0, "1": 1}, {"train": 10})
    (root / "train/0/train3.png").write_bytes(b"")
    with pytest.raises(DataRefusal, match=r"data\.unreadable=drop"):
        ranked(root, tmp_path / "out")
    for _ in range(2):  # the second time from the cache
        ranked(root, tmp_path / "out", "data.unreadable=drop")
        patches = pd.read_csv(tmp_path / "out/patches.csv").set_index("id")
        assert patches["dropped"]["train/0/train3"] == "unreadable: empty file"
        record = json.loads((tmp_path / "out/run.json").read_text())["data"]
        assert record["dropped"] == {"unreadable": 1} and len(pd.read_csv(tmp_path / "out/folds.csv")) == 19


def test_valid_joins_the_folds_where_nothing_else_is_said(tmp_path: Path):
    root = draw_folders(tmp_path / "data", {"0": 0, "1": 1}, {"train": 10, "valid": 4})
    ranked(root, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out/folds.csv")) == 28


def test_pcam_comes_with_its_slides_and_its_test_labels_are_scored_only(tmp_path: Path):
    counts = {"train": 40, "valid": 16, "test": 12}
    for part, count in counts.items():
        labels = np.arange(count) % 2
        name = str(tmp_path / f"data/camelyonpatch_level_2_split_{part}")
        Path(name).parent.mkdir(exist_ok=True)
        with h5py.File(f"{name}_x.h5", "w") as file:
            offset = len(name)
            file["x"] = np.stack([picture(k, offset + row, 96) for row, k in enumerate(labels)])
        with h5py.File(f"{name}_y.h5", "w") as file:
            file["y"] = labels.reshape(-1, 1, 1, 1)
        slides = [f"camelyon16_{part}_{row % 4}" for row in range(count)]
        pd.DataFrame({"center_tumor_patch": labels == 1, "wsi": slides}).to_csv(f"{name}_meta.csv")
    row = ranked(tmp_path / "data", tmp_path / "out", "folds.slides=auto")
    assert row["slides_policy"] == "map" and row["local_leaderboard"] > 0.9
    folds = pd.read_csv(tmp_path / "out/folds.csv")
    assert len(folds) == 56 and folds.groupby("slide")["fold"].nunique().eq(1).all()


def test_bare_arrays_are_taken(tmp_path: Path):
    labels = np.arange(30) % 2
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data/train.npy", np.stack([picture(k, row) for row, k in enumerate(labels)]))
    np.save(tmp_path / "data/labels.npy", np.where(labels, "yes", "no"))
    np.save(tmp_path / "data/test.npy", np.stack([picture(k % 2, 500 + k) for k in range(5)]))
    assert ranked(tmp_path / "data", tmp_path / "out")["auc_pooled"] > 0.9
    assert len(pd.read_csv(tmp_path / "out/submission.csv")) == 5


def test_dropped_means_dropped_and_stays_so(tmp_path: Path):
    """A blank patch, a copy and two contradicting ones are in no fold; the same command goes on, others stop."""
    root = draw_folders(tmp_path / "data", {"0": 0, "1": 1}, {"train": 14})
    cv2.imwrite(str(root / "train/0/blank.png"), np.full((32, 32, 3), 255, np.uint8))
    cv2.imwrite(str(root / "train/0/copy.png"), picture(0, 1)[:, :, ::-1])
    cv2.imwrite(str(root / "train/0/first.png"), picture(0, 1)[:, :, ::-1])
    for label in (0, 1):
        cv2.imwrite(str(root / f"train/{label}/torn.png"), picture(1, 77)[:, :, ::-1])
    rules = ("data.blank=drop", "data.duplicates=drop", "data.conflicting_labels=drop")
    ranked(root, tmp_path / "out", *rules)
    folds, patches = (pd.read_csv(tmp_path / f"out/{name}.csv") for name in ("folds", "patches"))
    dropped = patches[patches["dropped"].notna()]
    assert set(dropped["id"]) == {"train/0/blank", "train/0/first", "train/0/torn", "train/1/torn"}
    assert len(patches) == 33 and len(folds) == 29 and not set(folds["id"]) & set(dropped["id"])
    assert len(pd.read_csv(tmp_path / "out/experiments/only/oof.csv")) == 29
    record = json.loads((tmp_path / "out/run.json").read_text())["data"]
    assert sum(record["dropped"].values()) == 4
    ranked(root, tmp_path / "out", *rules)
    with pytest.raises(ArtifactRefusal, match=r"data\.blank: drop -> keep"):
        ranked(root, tmp_path / "out", *rules[1:])


def test_near_duplicates_share_a_fold(tmp_path: Path):
    """Each patch also as a JPEG of itself: whatever the seed, the two are never on both sides of a split."""
    root = tmp_path / "data"
    generator = np.random.default_rng(0)
    for label in (0, 1):
        (root / f"train/{label}").mkdir(parents=True)
        for number in range(8):
            coarse = generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            image = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / f"train/{label}/{number}a.png"), image)
            cv2.imwrite(str(root / f"train/{label}/{number}b.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    ranked(root, tmp_path / "out", "data.near_duplicates=group", "data.side=96", "training.epochs=1")
    folds = pd.read_csv(tmp_path / "out/folds.csv")
    assert folds.groupby(folds["id"].str[:-1])["fold"].nunique().eq(1).all()


def test_a_dry_run_refuses_what_the_run_would_refuse(tmp_path: Path):
    """Another data set that was never packed here, and a changed experiment."""
    mine = draw_folders(tmp_path / "mine", {"0": 0, "1": 1}, {"train": 10})
    other = draw_folders(tmp_path / "other", {"0": 0, "1": 1}, {"train": 11})
    ranked(mine, tmp_path / "out", "training.epochs=1")
    environment = dict(os.environ)

    def dry(data: Path, *settings: str) -> None:
        run(
            Request("layout", data, tmp_path / "out", settings=settings, dry_run=True), Display(), environment
        )

    dry(mine, "training.epochs=1")
    with pytest.raises(ArtifactRefusal, match="has changed"):
        dry(mine, "training.epochs=2")
    with pytest.raises(ArtifactRefusal, match="does not fit"):
        dry(other, "training.epochs=1")
