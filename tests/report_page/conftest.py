"""Output folders laid down by hand: what a run leaves, without a training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from histoblend.data.decode import Chunk, pixel_hash
from histoblend.data.folds import folds_fingerprint
from histoblend.data.pack_files import write_images, write_index
from histoblend.evaluation.metrics import Metrics, areas
from histoblend.inference.tables import out_of_fold_table, table_logits, test_table
from histoblend.workspace import Workspace, file_hash, write_csv, write_json, write_text

SIDE = 16
SKILL = {"alpha": 1.9, "beta": 1.2}


def split(classes: int) -> pd.DataFrame:
    """120 patches of 24 slides in two folds."""
    number = np.arange(120)
    slide = number % 24
    frame = pd.DataFrame(
        {
            "id": [f"{one:040x}" for one in number * 977 + 1],
            "label": (number // 24 + slide) % classes,
            "slide": [f"slide_{one:02d}" for one in slide],
            "fold": slide % 2,
        }
    )
    return frame.sort_values("id", ignore_index=True)


def skilled(labels: np.ndarray, classes: int, skill: float, seed: int) -> np.ndarray:
    """Logits that know the label as well as `skill` says."""
    generator = np.random.default_rng(seed)
    if classes == 2:
        return (skill * (labels - 0.5) + generator.normal(0, 1, len(labels)))[:, None]
    return skill * np.eye(classes)[labels] + generator.normal(0, 1, (len(labels), classes))


class Laid:
    """An output folder and what is written into it."""

    def __init__(self, folder: Path, classes: int = 2, test: int = 40) -> None:
        self.workspace, self.classes = Workspace(folder), classes
        self.folds, self.test_ids = split(classes), pd.Series([f"test_{one}" for one in range(test)])
        names = ["no tumour", "tumour"] if classes == 2 else [f"class {one}" for one in range(classes)]
        self.names, self.data = names, self.pack()
        self.prints = {
            "folds_fingerprint": folds_fingerprint(self.folds),
            "data_fingerprint": self.data,
        }
        write_csv(self.workspace.folds, self.folds)
        self.note_run()

    def pack(self) -> str:
        """A pixel cache under output/cache, named by its fingerprint."""
        images = np.random.default_rng(0).integers(0, 256, (120, SIDE, SIDE, 3), np.uint8)
        folder = self.workspace.cache / "new"
        folder.mkdir(parents=True)
        hashes = [pixel_hash(one) for one in images]
        write_images(folder / "train.npy", SIDE, [Chunk(images, hashes, [])], lambda seen: None)
        write_images(folder / "test.npy", SIDE, [], lambda seen: None)
        train = self.folds[["id", "label"]].assign(pixel_hash=hashes)
        name = write_index(folder, train, train.iloc[:0][["id", "pixel_hash"]])
        folder.rename(self.workspace.cache / name)
        return name

    def note_run(self, **changed: Any) -> None:
        """run.json."""
        counts = dict(zip(self.names, np.bincount(self.folds["label"]).tolist(), strict=True))
        root = str(self.workspace.folder / "data")
        data = {"root": root, "name": "tiny", "fingerprint": self.data, "synthetic": False, "classes": counts}
        content = {
            "started": "2026-01-02 03:04:05",
            "plan": {
                "name": "plan",
                "experiments": list(SKILL),
                "data": {"side": SIDE},
                "folds": {"count": 2},
            },
            "data": data | changed.pop("data", {}),
            "folds": {
                "fingerprint": self.prints["folds_fingerprint"],
                "policy": "map",
                "sentence": "24 slides, none in two folds.",
            },
            "device": {"name": "a CPU", "threads": 2},
            "weights": {"alpha": "random"},
            "versions": {"python": "3.11.7", "keras": "3.15.1"},
        }
        write_json(self.workspace.run_record, content | changed)

    def experiment(self, name: str, folds: tuple[int, ...] = (0, 1), concluded: bool = True) -> None:
        """An experiment with some of its folds finished; `concluded`: its run has come to its end."""
        folder = self.workspace.experiment(name)
        logits = skilled(self.folds["label"].to_numpy(), self.classes, SKILL.get(name, 2.0), len(name))
        table = out_of_fold_table(self.folds, logits)
        guessed = np.random.default_rng(9).normal(0, 1, (len(self.test_ids), logits.shape[1]))
        test = test_table(self.test_ids, guessed)
        network = {"name": "small_vgg"}
        record = {"experiment": {"name": name, "network": network, "role": "member"}, "precision": "float32"}
        record |= {"fingerprint": f"print-{name}", "side": SIDE, "classes": self.names}
        write_text(folder.config, yaml.safe_dump(record))
        for fold in folds:
            self._task(folder.task(fold), table[table["fold"] == fold], test, name)
        if not concluded:
            return
        kept = table[table["fold"].isin(folds)]
        if complete := len(folds) == 2:
            write_csv(folder.out_of_fold, table)
            write_csv(folder.test, test)
        self._metrics(folder.metrics, kept, "experiment", complete, {"config_fingerprint": f"print-{name}"})

    def _task(self, task: Any, table: pd.DataFrame, test: pd.DataFrame, name: str) -> None:
        write_csv(task.out_of_fold, table)
        write_csv(task.test, test)
        rows = {"epoch": [1, 2], "loss": [0.7, 0.5], "accuracy": [0.6, 0.8], "learning_rate": [0.1, 0.01]}
        write_csv(task.history, pd.DataFrame(rows))
        score = areas(table)["auc_pooled"]
        done = {"auc": score, "auc_one_view": score - 0.01, "views": 4, "patches": len(table)}
        done |= {"fold": int(table["fold"].iloc[0]), "fingerprint": f"print-{name}", "precision": "float32"}
        done |= {"train_seconds": 61.0, "prediction_seconds": 2.0, "images_per_second": 120.0}
        files = (task.out_of_fold, task.test, task.history)
        write_json(task.done, done | {"files": {path.name: file_hash(path) for path in files}})

    def _metrics(
        self, path: Path, table: pd.DataFrame, kind: str, complete: bool, about: dict[str, str]
    ) -> None:
        score = areas(table)
        interval = {"low": score["auc_pooled"] - 0.05, "high": min(score["auc_pooled"] + 0.05, 1.0)}
        interval |= {"standard_error": 0.025, "level": 0.95, "method": "slide bootstrap", "clusters": 24}
        metrics = Metrics(
            name=path.parent.name,
            kind=kind,
            complete=complete,
            tta_gain=0.01 if kind == "experiment" else None,
            minutes=2.1,
            about=self.prints | {"slides_policy": "map", "data_set": "tiny", "synthetic": False} | about,
            interval=interval | {"warning": "24 slides only."},
            **score,
        )
        write_json(path, asdict(metrics))

    def blend(self, rule: str, weights: dict[str, float]) -> None:
        """A blend of the complete experiments by fixed weights."""
        folder = self.workspace.ensemble(f"plan_{rule}")
        tables = {
            name: pd.read_csv(self.workspace.experiment(name).out_of_fold, dtype={"id": str})
            for name in weights
        }
        logits = sum(weight * table_logits(tables[name]) for name, weight in weights.items())
        table = out_of_fold_table(self.folds, np.asarray(logits))
        write_csv(folder.out_of_fold, table)
        write_csv(folder.test, test_table(self.test_ids, np.zeros((len(self.test_ids), logits.shape[1]))))
        write_json(
            folder.weights, {"rule": rule, "weights": weights, "members": {one: [one] for one in weights}}
        )
        self._metrics(folder.metrics, table, "blend", True, {})

    def audit(self, rules: dict[str, dict[str, float]], chosen: str) -> None:
        """What the rules are worth; those that are not the reference are said to learn."""
        scores = {
            rule: areas(pd.read_csv(self.workspace.ensemble(f"plan_{rule}").out_of_fold, dtype={"id": str}))[
                "auc_pooled"
            ]
            for rule in rules
        }
        rows = [
            {
                "rule": rule,
                "learns": rule != "logit_mean",
                "auc_in_sample": score + 0.01 * (rule != "logit_mean"),
                "auc_cross_fitted": score,
                "optimism": score + 0.01 * (rule != "logit_mean") - score,
                "gain": score - scores["logit_mean"],
                "gain_standard_error": 0.004,
                "gain_low": -0.01,
                "gain_high": 0.01,
                "p_value": 0.4,
                "weights": rules[rule],
                "weights_by_fold": {"0": rules[rule], "1": rules[rule]},
            }
            for rule, score in scores.items()
        ]
        content = {
            "plan": "plan",
            "folds_fingerprint": self.prints["folds_fingerprint"],
            "members": list(SKILL),
        }
        content |= {"method": "slide bootstrap", "clusters": 24, "clusters_are": "slides", "warning": None}
        content |= {"rules": rows, "asked": "auto", "chosen": chosen, "reason": "no rule gains enough; noise"}
        content |= {"finals": [{"name": f"plan_{chosen}", "rule": chosen, "why": "the best one"}]}
        content |= {"correlation": {"names": list(SKILL), "spearman": [[1.0, 0.6], [0.6, 1.0]]}}
        adds = {"member": "alpha", "auc_without": 0.8, "gain": 0.02, "standard_error": 0.003}
        content |= {"contributions": [adds], "gated": [{"member": "gamma", "why": "it ranks at random"}]}
        write_json(self.workspace.blend_audit("plan"), content)


def lay_whole(folder: Path, classes: int = 2) -> Laid:
    """A finished run: two experiments, two blends, their audit."""
    laid = Laid(folder, classes)
    for name in SKILL:
        laid.experiment(name)
    rules = {"logit_mean": {"alpha": 0.5, "beta": 0.5}, "greedy": {"alpha": 0.8, "beta": 0.2}}
    for rule, weights in rules.items():
        laid.blend(rule, weights)
    laid.audit(rules, "logit_mean")
    return laid


@pytest.fixture(scope="session")
def whole_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run laid down by hand, not to be changed."""
    return lay_whole(tmp_path_factory.mktemp("laid") / "output").workspace.folder


@pytest.fixture
def whole(whole_once: Path, tmp_path: Path) -> Workspace:
    """A copy of it, to be changed."""
    return Workspace(Path(shutil.copytree(whole_once, tmp_path / "output")))


@pytest.fixture(scope="session")
def lay() -> Callable[..., Laid]:
    """Lays down an output folder without experiments."""
    return Laid


@pytest.fixture(scope="session")
def lay_run() -> Callable[..., Laid]:
    """Lays down a finished run, of more than two classes if asked for."""
    return lay_whole
