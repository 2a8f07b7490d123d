"""Does the synthetic competition give itself away? AUC of shortcuts that need no look at the cells, and of a small CNN.

    python benchmarks/synthetic_shortcuts.py                 shortcuts only, about two minutes on one core
    python benchmarks/synthetic_shortcuts.py --cnn 10        and a small CNN, 10 epochs, grouped against random folds

Colours, single pixels and file order must stay at or below .75 on folds grouped by slide; the CNN should land
between .85 and .98, higher on random folds than on grouped ones.

Measured with the defaults (2,000 patches, 36 slides, seed 0): colours .67 linear and .55 boosted on grouped folds,
.74 and .71 on random ones; best single pixel .60; file order at most .52; the CNN, 9 epochs on three folds, .892 on
grouped folds (.940, .850, .891) and .953 on random ones (.961, .953, .945).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoblend.competition.synthetic import draw_competition, draw_patches

if TYPE_CHECKING:
    import keras

CENTRE = slice(32, 64)
RGB_FROM_HED = np.array(
    [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]]
)  # Ruifrok and Johnston, 2001
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)

Folds = list[tuple[np.ndarray, np.ndarray]]


def colour_statistics(images: np.ndarray) -> np.ndarray:
    """(n, 132) means, deviations and percentiles of RGB and HED, of the whole patch and of the centre square."""
    columns = []
    for part in (images, images[:, CENTRE, CENTRE]):
        rgb = part.reshape(len(part), -1, 3).astype(np.float32)
        hed = -np.log((rgb + 1) / 256) @ np.linalg.inv(RGB_FROM_HED).astype(np.float32)
        for pixels in (rgb, hed):
            columns += [pixels.mean(axis=1), pixels.std(axis=1), *np.percentile(pixels, PERCENTILES, axis=1)]
    return np.concatenate(columns, axis=1)


def fold_lists(labels: np.ndarray, slides: np.ndarray, count: int = 5) -> dict[str, Folds]:
    """Folds grouped by slide, and random ones."""
    rows = np.zeros(len(labels))
    grouped = StratifiedGroupKFold(count, shuffle=True, random_state=0).split(rows, labels, slides)
    plain = StratifiedKFold(count, shuffle=True, random_state=0).split(rows, labels)
    return {"grouped": list(grouped), "random": list(plain)}


def model_aucs(features: np.ndarray, labels: np.ndarray, folds: Folds) -> dict[str, float]:
    """Pooled out-of-fold AUC, ranked within folds, of a linear and of a boosted model."""
    models = {
        "logistic regression": lambda: make_pipeline(
            StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)
        ),
        "gradient boosting": lambda: HistGradientBoostingClassifier(max_iter=150, random_state=0),
    }
    found = {}
    for name, build in models.items():
        scores = np.zeros(len(labels))
        for train, held_out in folds:
            raw = build().fit(features[train], labels[train]).predict_proba(features[held_out])[:, 1]
            scores[held_out] = rankdata(raw) / len(raw)
        found[name] = float(roc_auc_score(labels, scores))
    return found


def best_single_pixel(images: np.ndarray, labels: np.ndarray) -> float:
    """The AUC, in the better direction, of the best of all 27,648 pixel values: chosen on the labels, so flattered."""
    positives = labels == 1
    best = 0.5
    for row in range(images.shape[1]):
        ranks = rankdata(images[:, row].reshape(len(images), -1), axis=0)
        pairs = positives.sum() * (~positives).sum()
        aucs = (ranks[positives].sum(axis=0) - positives.sum() * (positives.sum() + 1) / 2) / pairs
        best = max(best, float(np.maximum(aucs, 1 - aucs).max()))
    return best


def file_features(patches: int, slides: int, seed: int) -> dict[str, float]:
    """AUC, in the better direction, of what the files tell without being opened."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "synthetic"
        draw_competition(
            folder, train_patches=patches, test_patches=4 * max(2, slides // 2), slides=slides, seed=seed
        )
        table = pd.read_csv(folder / "train_labels.csv")
        files = [(folder / "train" / f"{identity}.tif").stat() for identity in table["id"]]
    columns = {
        "row in train_labels.csv": np.arange(len(table)),
        "order of ids": table["id"].rank().to_numpy(),
        "file size": np.array([file.st_size for file in files]),
        "modification time": np.array([file.st_mtime_ns for file in files]),
        "inode": np.array([file.st_ino for file in files]),
    }
    aucs = {name: float(roc_auc_score(table["label"], values)) for name, values in columns.items()}
    return {name: max(auc, 1 - auc) for name, auc in aucs.items()}


def cnn_auc(images: np.ndarray, labels: np.ndarray, folds: Folds, epochs: int) -> tuple[float, list[float]]:
    """Pooled and per-fold AUC of a small centre-aware CNN with dihedral augmentation."""
    scores, singles = np.zeros(len(labels)), []
    for train, held_out in folds:
        started = time.perf_counter()
        logits = _train_and_predict(images, labels, train, held_out, epochs)
        scores[held_out] = rankdata(logits) / len(logits)
        singles.append(float(roc_auc_score(labels[held_out], logits)))
        print(
            f"    fold of {len(held_out)}: {singles[-1]:.3f}, {time.perf_counter() - started:.0f} s",
            flush=True,
        )
    return float(roc_auc_score(labels, scores)), singles


def _train_and_predict(
    images: np.ndarray, labels: np.ndarray, train: np.ndarray, held_out: np.ndarray, epochs: int
) -> np.ndarray:
    import keras

    keras.utils.set_random_seed(0)
    model = _small_cnn()
    steps = epochs * (len(train) // 32)
    rate = keras.optimizers.schedules.CosineDecay(2e-4, steps, warmup_target=2e-3, warmup_steps=steps // 10)
    model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    generator = np.random.default_rng(0)
    for _ in range(epochs):
        order = generator.permutation(train)
        for start in range(0, len(order) - 31, 32):
            rows = order[start : start + 32]
            model.train_on_batch(_turned(images[rows], generator), labels[rows, None].astype(np.float32))
    return model.predict(images[held_out].astype(np.float32), batch_size=128, verbose=0)[:, 0]


def _turned(batch: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    turned = [
        np.rot90(image, turns)
        for image, turns in zip(batch, generator.integers(4, size=len(batch)), strict=True)
    ]
    flipped = [
        image[::-1] if flip else image
        for image, flip in zip(turned, generator.integers(2, size=len(batch)), strict=True)
    ]
    return np.stack(flipped).astype(np.float32)


def _small_cnn() -> keras.Model:
    """Four blocks of two convolutions; the head sees the centre cells beside the whole map. 212,000 parameters."""
    import keras
    from keras import layers

    inputs = keras.Input((96, 96, 3))
    x = layers.Rescaling(1 / 64, offset=-2.5)(inputs)
    for width in (16, 32, 64, 96):
        if width > 16:
            x = layers.MaxPooling2D()(x)
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
    centre = layers.Cropping2D(4)(x)  # 12x12 cells of 8 pixels: the middle 4x4 are the centre square
    pooled = [
        layers.GlobalAveragePooling2D()(x),
        layers.GlobalMaxPooling2D()(centre),
        layers.GlobalAveragePooling2D()(centre),
    ]
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.2)(layers.Concatenate()(pooled))))


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patches", type=int, default=2000)
    parser.add_argument("--slides", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cnn", type=int, default=0, metavar="EPOCHS")
    parser.add_argument("--folds", type=int, default=3, help="folds of the CNN")
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    started = time.process_time()
    images, _, plan = draw_patches("train", arguments.patches, arguments.slides, arguments.seed)
    print(
        f"drawn: {len(images)} patches in {time.process_time() - started:.1f} s of processor time,"
        f" share positive {plan.labels.mean():.3f}"
    )
    features = colour_statistics(images)
    for policy, folds in fold_lists(plan.labels, plan.slides).items():
        for model, auc in model_aucs(features, plan.labels, folds).items():
            print(f"colour statistics, {model}, {policy} folds: {auc:.3f}")
    print(f"best single pixel of all: {best_single_pixel(images, plan.labels):.3f}")
    for name, auc in file_features(arguments.patches, arguments.slides, arguments.seed).items():
        print(f"{name}: {auc:.3f}")
    if arguments.cnn:
        for policy, folds in fold_lists(plan.labels, plan.slides, arguments.folds).items():
            pooled, singles = cnn_auc(images, plan.labels, folds, arguments.cnn)
            print(
                f"small CNN, {arguments.cnn} epochs, {policy} folds: pooled {pooled:.3f}, mean {np.mean(singles):.3f}"
            )


if __name__ == "__main__":
    main()
